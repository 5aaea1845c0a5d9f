package reassembly

import "github.com/tcplife/tcplife/wire"

// Watcher follows connections segment by segment beside the tracker, for a view of
// them that the log does not hold. It is asked as late as can be: as long as the log
// has an entry for each segment of a connection, the log says everything, and a
// connection attempt that is never answered costs the watcher nothing.
type Watcher interface {
	// Begin is called when a segment is about to come that the log will not hold by
	// itself. events are all segments so far, one each, valid until Begin returns;
	// tuple runs from the client to the server; carrier is what all of them came
	// through (see wire.Segment). The view that is returned names the connection from
	// then on; 0 is none, and the connection is not followed.
	Begin(tuple *wire.Tuple, carrier uint32, events []Event) (view uint32)
	// Watch is called with each segment after that, doubled ones too, in capture
	// order.
	Watch(view uint32, s *wire.Segment, from Side)
	// Sibling is called when a connection opens while another one of its tuple is
	// held: an earlier life, or one under another encapsulation. Opened has been called
	// for it, and its first segment comes to Watch next.
	Sibling(held, fresh Kin, s *wire.Segment)
}

// Kin is one of two connections of a tuple.
type Kin struct {
	// View names it for the watcher, Stamp for the tracker (see Config.Opened).
	View  uint32
	Stamp uint64
	// From is the side of it that sends the segment.
	From Side
}

// watchFrom begins a view of a connection that has none, before something happens
// that its log will not show.
func (t *Tracker) watchFrom(r *record) {
	if r.view != 0 || t.cfg.Watch == nil {
		return
	}
	t.replay = t.events(t.replay[:0], r)
	tuple := r.tuple()
	r.view = t.cfg.Watch.Begin(&tuple, r.carrier, t.replay)
}

// watch shows a segment to the connection's view, if it has one.
func (t *Tracker) watch(r *record, s *wire.Segment, from Side) {
	if r.view != 0 {
		t.cfg.Watch.Watch(r.view, s, from)
	}
}

// sibling tells the watcher of a connection that was held when another opened.
func (t *Tracker) sibling(rec, fresh uint32, s *wire.Segment, swapped bool) {
	if rec == 0 || t.cfg.Watch == nil {
		return
	}
	r, f := t.recs.at(rec), t.recs.at(fresh)
	t.watchFrom(r)
	t.watchFrom(f)
	if r.view != 0 && f.view != 0 {
		t.cfg.Watch.Sibling(Kin{r.view, r.stamp, r.side(swapped)}, Kin{f.view, f.stamp, f.side(swapped)}, s)
	}
}

// elsewhere returns a connection of the same tuple under another encapsulation: the
// one without any, else the newest.
func (t *Tracker) elsewhere(key *tupleKey, tuple uint64) uint32 {
	if t.cfg.Watch == nil || key.path() == 0 && t.tagged.count == 0 {
		return 0
	}
	bare := key.bare()
	if key.path() != 0 {
		if rec := t.find(&bare, tuple); rec != 0 {
			return rec
		}
	}
	return t.findTagged(&bare, tuple)
}

// events appends a record's log to a list.
func (t *Tracker) events(list []Event, r *record) []Event {
	for b, n := r.logHead, r.logLen; b != 0; b = t.blocks.at(b).next {
		k := min(n, blockEvents)
		list = append(list, t.blocks.at(b).events[:k]...)
		n -= k
	}
	if r.held != 0 {
		h := t.helds.at(r.held)
		for _, side := range [...]Side{h.newest.Peer(), h.newest} {
			if h.events[side].Count > 0 {
				list = append(list, h.events[side])
			}
		}
	}
	return list
}

// startsOver reports whether a SYN is more than the first one again. A watcher is
// shown such a SYN when it comes, as it may begin a stream or a row of its own for
// somebody.
func (r *record) startsOver(s *wire.Segment, from Side) bool {
	if r.logLen == 0 {
		return false
	}
	return r.roleBy != RoleBySYN || from != Client || s.Seq != r.firstSeq
}
