package capture

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcplife/tcplife/wire"
)

// link is an interface that was named.
type link struct {
	name   string
	index  int
	hatype uint16
	up     bool
	// blinked: since it was looked at last, it was down.
	blinked bool
	// since is the time since when it gives no frames, 0 if it does; gone: in that time
	// it was deleted.
	since wire.Time
	gone  bool
}

// look asks the kernel for what there is now by the link's name. Any socket serves for
// asking.
func (l *link) look(fd int) error {
	r, err := unix.NewIfreq(l.name)
	if err != nil {
		return unix.ENODEV // the name is longer than any can be
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, r); err != nil {
		return err
	}
	l.index = int(r.Uint32())
	if r, err = unix.NewIfreq(l.name); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, r); err != nil {
		return err
	}
	l.hatype = r.Uint16() // the family of the address
	if r, err = unix.NewIfreq(l.name); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, r); err != nil {
		return err
	}
	l.up = r.Uint16()&unix.IFF_UP != 0
	return nil
}

// openDoorbell opens a socket on which the kernel says that an interface changed.
func openDoorbell() (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// listen takes what the doorbell says. Of the messages only that an interface was down
// or deleted counts, as it may be up again by now; all else is asked for.
func (a *afpacket) listen() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.blocks = 0
	if a.fdsClosed || len(a.links) == 0 {
		return
	}
	b := make([]byte, 64<<10)
	rang := false
	for {
		n, _, err := unix.Recvfrom(a.doorbell, b, 0)
		if err != nil {
			// ENOBUFS says that messages were lost: look all the same.
			if err == unix.ENOBUFS {
				rang = true
				continue
			}
			break
		}
		rang = true
		messages, _ := syscall.ParseNetlinkMessage(b[:n])
		for _, m := range messages {
			// struct ifinfomsg: the index at 4, the flags at 8.
			if t := m.Header.Type; t != unix.RTM_NEWLINK && t != unix.RTM_DELLINK || len(m.Data) < unix.SizeofIfInfomsg {
				continue
			}
			index, flags := int(int32(native.Uint32(m.Data[4:]))), native.Uint32(m.Data[8:])
			for _, l := range a.links {
				if l.index == index && (m.Header.Type == unix.RTM_DELLINK || flags&unix.IFF_UP == 0) {
					l.blinked = true
				}
			}
		}
	}
	if rang {
		a.relook()
	}
}

// relook sees what has become of the interfaces, follows one that was made anew, and
// notes the gaps. It is called with mu held.
func (a *afpacket) relook() {
	anew := false
	for _, l := range a.links {
		before := *l
		l.blinked = false
		err := l.look(a.fd)
		if (err != nil || l.index != before.index) && l.since != 0 && !l.gone {
			// It was down. Who deletes an interface takes it down first, and that may have been
			// looked at alone.
			a.note(&Gap{Name: l.name, What: "the interface was deleted", From: l.since})
		}
		if err != nil {
			l.up, l.gone = false, true
			a.openGap(l, "the interface was deleted")
			continue
		}
		what := "the interface went down"
		if l.index != before.index {
			anew, l.gone = true, true
			what = "the interface was deleted"
			a.promiscuous(l)
		}
		if !l.up || before.blinked || l.index != before.index {
			a.openGap(l, what)
		}
		if l.up && l.since != 0 {
			a.closeGap(l)
		}
	}
	if !anew || a.stopping.Load() {
		return
	}
	// Neither needs a right: the socket is there. One that is down is bound to all the
	// same, and gives frames when it is up.
	if len(a.links) == 1 {
		a.bind()
		return
	}
	a.attach()
}

// maxGaps bounds the gaps that wait to be told.
const maxGaps = 100

// openGap notes that an interface gives no frames, if that is not noted yet.
func (a *afpacket) openGap(l *link, what string) {
	if l.since != 0 {
		return
	}
	l.since = wallClock()
	a.note(&Gap{Name: l.name, What: what, From: l.since})
}

// closeGap notes that it gives frames again.
func (a *afpacket) closeGap(l *link) {
	now := wallClock()
	what := "the interface is up again"
	if l.gone {
		what = "the interface was made anew"
	}
	a.note(&Gap{Name: l.name, What: fmt.Sprintf("%s after %v", what, now.Sub(l.since).Round(time.Millisecond)), From: l.since, To: now})
	l.since, l.gone = 0, false
}

func (a *afpacket) note(g *Gap) {
	if len(a.gaps) < maxGaps {
		a.gaps = append(a.gaps, g)
	}
}

// wallClock returns this host's time, which is that of the frames.
func wallClock() wire.Time { return wire.Time(time.Now().UnixNano()) }
