package report

import (
	"net/netip"

	"github.com/tcplife/tcplife/incident"
)

// incident appends what many connections show together.
func (a *appender) incident(b []byte, in *incident.Incident) []byte {
	b = append(b, `{"type":"finding","schema":1,"id":`...)
	b = appendString(b, in.Rule.ID)
	b = append(b, `,"catalogue":`...)
	b = appendString(b, in.Catalogue)
	b = append(b, `,"title":`...)
	b = appendString(b, in.Rule.Title)
	b = append(b, `,"severity":"`...)
	b = append(b, in.Severity.String()...)
	b = append(b, `","confidence":"`...)
	b = append(b, in.Confidence.String()...)
	b = append(b, `","scope":`...)
	b = appendScope(b, &in.Scope)
	b = appendField(b, "count", in.Count)
	b = append(b, `,"start":`...)
	b = a.time(b, in.First)
	b = append(b, `,"end":`...)
	b = a.time(b, in.Last)
	b = append(b, `,"uids":`...)
	b = appendStrings(b, in.UIDs)
	b = append(b, `,"frames":`...)
	b = a.frames(b, in.Frames)
	b = append(b, `,"message":`...)
	b = appendString(b, in.Message)
	b = append(b, `,"reason":`...)
	b = appendString(b, in.Reason)
	b = append(b, `,"falsify":`...)
	b = appendString(b, in.Falsify)
	b = append(b, `,"folds":[`...)
	for i, f := range in.Folds {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"id":`...)
		b = appendString(b, f.ID)
		b = appendField(b, "count", f.Count)
		b = append(b, '}')
	}
	b = append(b, ']')
	if in.More.Scopes > 0 {
		b = append(b, `,"more":{"scopes":`...)
		b = appendUint(b, in.More.Scopes)
		b = appendField(b, "count", in.More.Count)
		b = append(b, '}')
	}
	b = append(b, `,"advice":`...)
	b = appendString(b, in.Rule.Advice)
	b = append(b, `,"rfc":`...)
	b = appendString(b, in.Rule.RFC)
	return append(b, '}')
}

func appendScope(b []byte, s *incident.Scope) []byte {
	b = append(b, '{')
	comma := func(key string) {
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, key...)
		b = append(b, `":`...)
	}
	for _, x := range []struct {
		key  string
		addr netip.Addr
	}{{"client_ip", s.Client}, {"server_ip", s.Server}} {
		if x.addr.IsValid() {
			comma(x.key)
			b = append(b, '"')
			b = x.addr.AppendTo(b)
			b = append(b, '"')
		}
	}
	if s.Port != 0 {
		comma("server_port")
		b = appendUint(b, uint64(s.Port))
	}
	if len(s.Encap) > 0 {
		comma("encap")
		b = appendStrings(b, s.Encap)
	}
	return append(b, '}')
}

// appendIncidentLimits appends of how many of each kind one was counted across
// connections.
func appendIncidentLimits(b []byte, l *incident.Limits) []byte {
	b = append(b, `{"listeners":`...)
	b = appendUint(b, l.Listeners)
	b = appendField(b, "targets", l.Targets)
	b = appendField(b, "clients", l.Clients)
	b = appendField(b, "pairs", l.Pairs)
	b = appendField(b, "attempts", l.Attempts)
	b = appendField(b, "paths", l.Paths)
	b = appendField(b, "hosts", l.Hosts)
	return append(b, '}')
}
