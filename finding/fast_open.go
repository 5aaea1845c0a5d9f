package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "fast-open",
	Catalogue: []string{"H21", "H22"},
	Title:     "Data on the SYN",
	Severity:  Warning,
	RFC:       "7413 2, 4.2; 9293 3.4; 1644 (historic, 6247)",
	Triggers:  reassembly.SeenSYNData,
	Check:     checkFastOpen,
	Meaning: `The client's SYN carried data, or asked for a cookie to do so next time.

- H21: TCP Fast Open. Accepted: the SYN-ACK acknowledges the data, and one round trip is saved.
  Ignored: it acknowledges the SYN alone, and the data is sent again. Black-holed (warning): the
  SYN with data met no answer, one without did: a device on the path drops such SYNs, and every
  connection waits a second for that.
- H22: data without the Fast Open option, or the options of T/TCP, which nobody uses any more.`,
	Signature: `    SYN x, n octets, option 34  ->  <- SYN-ACK x+1+n   H21: accepted
                                    <- SYN-ACK x+1     H21: ignored
    SYN x, n octets             ->  (nothing)
    SYN x, no data              ->  <- SYN-ACK x+1     H21: black-holed`,
	Alternatives: `Fast Open without a cookie (Linux tcp_fastopen 4) and a device that strips the option
look like H22. A single lost SYN looks like a black hole: see whether it comes again.`,
	Advice: `Ignored: switch Fast Open on at the server (and give listen sockets TCP_FASTOPEN) or off
at the client. Black-holed: switch it off for that path; Linux does so by itself for an hour
after a black hole. Servers behind one address need one common key (tcp_fastopen_key), or
cookies of one are refused by the next.`,
	Settings: `Linux: tcp_fastopen (1: as client; 2: as server; 3 both), tcp_fastopen_key,
tcp_fastopen_blackhole_timeout_sec (0 since 5.14: never off by itself; 3600 before). FreeBSD:
net.inet.tcp.fastopen.client_enable (1) and server_enable (0). Windows: netsh int tcp set global
fastopen, fastopenfallback.`,
})

func checkFastOpen(c *Case, report func(Finding)) {
	syn := firstOf(c, reassembly.Client, reassembly.KindSYN, 0)
	if syn < 0 {
		return
	}
	e := &c.Events[syn]
	synack := firstOf(c, reassembly.Server, reassembly.KindSYNACK, syn)
	bare := next(c, syn+1, func(x *reassembly.Event) bool {
		return x.From == reassembly.Client && x.Kind == reassembly.KindSYN && x.Seq == e.Seq && x.Len == 0
	})
	options := c.Ends[reassembly.Client].SYN.Set
	f := Finding{
		Catalogue: "H21", Severity: Info, Confidence: Certain, Endpoint: Both,
		Frames:  frames(c, syn, synack),
		Falsify: "A SYN-ACK with another acknowledgment that the capture lacks.",
		Reason:  "what the SYN-ACK acknowledges says what the server took",
	}
	switch {
	case e.Len > 0 && bare >= 0 && (synack < 0 || synack > bare):
		f.Severity, f.Confidence = Warning, Likely
		f.Frames = frames(c, syn, bare, synack)
		f.Message = fmt.Sprintf("The SYN with %s met no answer, and the client repeated it without data %s later", plural(int(e.Len), "octet"), span(c.Events[bare].At.Sub(e.At)))
		f.Reason = "one lost SYN looks the same"
		if synack >= 0 {
			f.Message += ", which was answered: something on the path seems to drop SYNs with data."
		} else {
			f.Confidence = Possible
			f.Message += "; that one was not answered either."
		}
	case e.Len > 0 && options&(wire.OptFastOpen) == 0:
		f.Catalogue, f.Endpoint = "H22", Client
		f.Message = fmt.Sprintf("The SYN carries %s without a Fast Open cookie.", plural(int(e.Len), "octet"))
		f.Falsify = "The Fast Open option in the SYN as the client sent it: a device strips it."
		f.Reason = "the data and the options are in the SYN itself"
		if synack >= 0 {
			f.Message = f.Message[:len(f.Message)-1] + ", " + took(e, &c.Events[synack]) + "."
		}
	case e.Len > 0 && synack >= 0:
		f.Message = fmt.Sprintf("Fast Open: the SYN carries %s, %s.", plural(int(e.Len), "octet"), took(e, &c.Events[synack]))
	case e.Len > 0:
		f.Confidence, f.Reason = Possible, "no SYN-ACK passed that would say what the server took"
		f.Message = fmt.Sprintf("Fast Open: the SYN carries %s and was not answered.", plural(int(e.Len), "octet"))
	case options&(wire.OptCC|wire.OptCCNew|wire.OptCCEcho) != 0:
		f.Catalogue, f.Endpoint = "H22", Client
		f.Message = "The SYN carries an option of T/TCP, which was withdrawn long ago."
		f.Falsify, f.Reason = "Another meaning of these option numbers on this network.", "the option is in the SYN"
	case synack >= 0 && !c.Ends[reassembly.Server].SYN.Set.Has(wire.OptFastOpen):
		f.Confidence = Likely
		f.Message = "Fast Open: the client asks for a cookie, and the server sent none."
		f.Falsify = "A cookie in the SYN-ACK as the server sent it: a device strips it."
		f.Reason = "the server may not do Fast Open, or a device may strip the option"
	default:
		return // it asks for a cookie and gets one, or nobody can tell
	}
	report(f)
}

// took says what a SYN-ACK made of the data on the SYN.
func took(syn, synack *reassembly.Event) string {
	if synack.Ack == syn.End {
		return "and the server took them"
	}
	return "and the server acknowledged the SYN alone: the data must be sent again"
}
