// Package bpf compiles the filter language of tcpdump to classic BPF, as pcap-filter(7)
// describes it, and runs such programs over frames. It decides as libpcap's programs do
// (a test compares them) and refuses what it does not know.
package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/bpf"

	"github.com/tcplife/tcplife/wire"
)

// MaxInstructions is how long a program may be: the kernel's BPF_MAXINSNS.
const MaxInstructions = 4096

// Program is a classic BPF program. It returns how many octets of a frame to keep, 0
// for none of it.
type Program []bpf.RawInstruction

// Target is what a program is to run on.
type Target struct {
	// Link is the link type of the frames.
	Link wire.LinkType
	// Kernel is set when the program runs in the kernel, on a packet socket: it may ask
	// for what is known of the frame beside its octets, and finds a VLAN tag there.
	Kernel bool
	// Cooked is set, beside Kernel, for frames of interfaces whose link layer is not
	// known: only what follows it is looked at.
	Cooked bool
}

// Compiler is a filter that makes a program for each target. The program keeps keep
// octets of what it selects.
type Compiler interface {
	Compile(t Target, keep uint32) (Program, error)
}

// ParseProgram reads a program as tcpdump -ddd prints it: the number of instructions and
// then four decimal numbers for each. Commas may separate them.
func ParseProgram(text string) (Program, error) {
	const remedy = `give it as tcpdump prints it: --bpf "$(tcpdump -ddd -y EN10MB 'tcp port 80')"`
	var n []uint64
	for i, w := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\n' || r == '\r' || r == '\t' || r == ',' }) {
		x, err := strconv.ParseUint(w, 10, 32)
		if err != nil || i > 4*MaxInstructions {
			return nil, fmt.Errorf("BPF program: %q is no number of it (%s)", w[:min(len(w), 40)], remedy)
		}
		n = append(n, x)
	}
	if len(n) == 0 {
		return nil, fmt.Errorf("BPF program: it is empty: tcpdump printed its reason on its standard error (%s)", remedy)
	}
	if n[0] == 0 || n[0] > MaxInstructions || uint64(len(n)) != 1+4*n[0] {
		return nil, fmt.Errorf("BPF program: it says that it has %d instructions, and %d numbers follow (%s)", n[0], len(n)-1, remedy)
	}
	var p Program
	for n = n[1:]; len(n) > 0; n = n[4:] {
		if n[0] > 0xffff || n[1] > 0xff || n[2] > 0xff {
			return nil, fmt.Errorf("BPF program: instruction %d is none: %d %d %d %d (%s)", len(p), n[0], n[1], n[2], n[3], remedy)
		}
		p = append(p, bpf.RawInstruction{Op: uint16(n[0]), Jt: uint8(n[1]), Jf: uint8(n[2]), K: uint32(n[3])})
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return p, nil
}

// known holds the operations that there are.
var known = sync.OnceValue(func() map[uint16]bool {
	m := map[uint16]bool{uint16(opReturn): true, uint16(opReturn) | 0x10: true, uint16(opJump): true, uint16(opToX): true, uint16(opToA): true,
		classLoad | modeConstant: true, classLoad | modeMemory: true, classLoad | modeLength: true,
		classLoadX | modeConstant: true, classLoadX | modeMemory: true, classLoadX | modeLength: true, uint16(opHeaderLen): true,
		classStore: true, classStoreX: true, uint16(opNegate): true}
	for _, size := range []uint16{sizeWord, sizeHalf, sizeByte} {
		m[classLoad|modeAbsolute|size], m[classLoad|modeIndirect|size] = true, true
	}
	for _, op := range opArithmetic {
		m[uint16(op)], m[uint16(op)|sourceX] = true, true
	}
	for _, op := range []opcode{opEqual, opGreater, opGreaterEqual, opAnySet} {
		m[uint16(op)], m[uint16(op)|sourceX] = true, true
	}
	return m
})

// check makes sure that a program ends: it only jumps forward and stays inside.
func (p Program) check() error {
	for i, x := range p {
		bad := func(what string) error {
			return fmt.Errorf("BPF program: instruction %d (%d %d %d %d) %s", i, x.Op, x.Jt, x.Jf, x.K, what)
		}
		left := uint64(len(p) - i - 1)
		constant := x.Op&sourceX == 0
		switch {
		case !known()[x.Op]:
			return bad("is unknown")
		case x.Op == uint16(opJump) && uint64(x.K) >= left,
			x.Op&7 == classJump && x.Op != uint16(opJump) && (uint64(x.Jt) >= left || uint64(x.Jf) >= left):
			return bad("jumps past the end")
		case x.Op&0xe7 == classLoad|modeMemory && x.K >= memoryWords, x.Op&0xe7 == classLoadX|modeMemory && x.K >= memoryWords,
			(x.Op == classStore || x.Op == classStoreX) && x.K >= memoryWords:
			return bad("uses a word of memory that does not exist")
		case (x.Op == uint16(opArithmetic["/"]) || x.Op == uint16(opArithmetic["%"])) && x.K == 0:
			return bad("divides by zero")
		case constant && (x.Op == uint16(opArithmetic["<<"]) || x.Op == uint16(opArithmetic[">>"])) && x.K > 31:
			return bad("shifts by more than 31 bits")
		}
	}
	if p[len(p)-1].Op&7 != classReturn {
		return errors.New("BPF program: it does not end with a return")
	}
	return nil
}

// Compile returns the program with what it keeps replaced. It was made for one link type
// already, which it does not say: it is used for all.
func (p Program) Compile(t Target, keep uint32) (Program, error) {
	q := append(Program(nil), p...)
	for i, x := range q {
		if !t.Kernel && x.Op&0xe7 == classLoad|modeAbsolute && x.K >= network {
			return nil, fmt.Errorf("BPF program: instruction %d asks for what only the kernel knows, and a file does not (compile it for files: tcpdump -ddd -y EN10MB ..., with no -i)", i)
		}
		if x.Op == uint16(opReturn) && x.K > 0 {
			q[i].K = keep
		}
	}
	return q, nil
}

// Run runs the program over the captured octets of a frame, which had length octets on
// the wire, and returns how many to keep. A program that looks past the end keeps none.
// It must be a program of Compile's for no kernel.
func (p Program) Run(data []byte, length uint32) uint32 {
	var a, x uint32
	var memory [memoryWords]uint32
	for i := 0; i < len(p); i++ {
		ins := &p[i]
		k := ins.K
		switch ins.Op & 7 {
		case classLoad:
			switch ins.Op & 0xe0 {
			case modeConstant:
				a = k
			case modeMemory:
				a = memory[k%memoryWords]
			case modeLength:
				a = length
			default:
				at := uint64(k)
				if ins.Op&0xe0 == modeIndirect {
					at += uint64(x)
				}
				switch n := uint64(len(data)); {
				case ins.Op&0x18 == sizeWord && at+4 <= n:
					a = binary.BigEndian.Uint32(data[at:])
				case ins.Op&0x18 == sizeHalf && at+2 <= n:
					a = uint32(binary.BigEndian.Uint16(data[at:]))
				case ins.Op&0x18 == sizeByte && at < n:
					a = uint32(data[at])
				default:
					return 0
				}
			}
		case classLoadX:
			switch ins.Op & 0xe0 {
			case modeConstant:
				x = k
			case modeMemory:
				x = memory[k%memoryWords]
			case modeLength:
				x = length
			default:
				if uint64(k) >= uint64(len(data)) {
					return 0
				}
				x = uint32(data[k]&0xf) * 4
			}
		case classStore:
			memory[k%memoryWords] = a
		case classStoreX:
			memory[k%memoryWords] = x
		case classALU:
			if ins.Op&sourceX != 0 {
				k = x
			}
			switch ins.Op & 0xf0 {
			case 0x00:
				a += k
			case 0x10:
				a -= k
			case 0x20:
				a *= k
			case 0x30, 0x90:
				switch {
				case k == 0:
					return 0
				case ins.Op&0xf0 == 0x30:
					a /= k
				default:
					a %= k
				}
			case 0x40:
				a |= k
			case 0x50:
				a &= k
			case 0x60:
				a <<= k
			case 0x70:
				a >>= k
			case 0x80:
				a = -a
			case 0xa0:
				a ^= k
			}
		case classJump:
			if ins.Op == uint16(opJump) {
				i += int(k)
				continue
			}
			if ins.Op&sourceX != 0 {
				k = x
			}
			var holds bool
			switch ins.Op & 0xf0 {
			case 0x10:
				holds = a == k
			case 0x20:
				holds = a > k
			case 0x30:
				holds = a >= k
			case 0x40:
				holds = a&k != 0
			}
			if holds {
				i += int(ins.Jt)
			} else {
				i += int(ins.Jf)
			}
		case classReturn:
			if ins.Op&0x18 == 0x10 {
				return a
			}
			return k
		case classMove:
			if ins.Op&0xf8 == 0x80 {
				a = x
			} else {
				x = a
			}
		}
	}
	return 0
}
