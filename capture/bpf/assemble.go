package bpf

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// opcode is what an instruction does, without how its operand is given.
type opcode uint16

// The operations of classic BPF, as linux/bpf_common.h numbers them.
const (
	classLoad, classLoadX, classStore, classStoreX = 0x00, 0x01, 0x02, 0x03
	classALU, classJump, classReturn, classMove    = 0x04, 0x05, 0x06, 0x07

	sizeWord, sizeHalf, sizeByte = 0x00, 0x08, 0x10

	modeConstant, modeAbsolute, modeIndirect, modeMemory, modeLength, modeHeader = 0x00, 0x20, 0x40, 0x60, 0x80, 0xa0

	sourceX = 0x08

	opLoad      opcode = classLoad | modeAbsolute
	opLoadX     opcode = classLoad | modeIndirect
	opConstant  opcode = classLoad | modeConstant
	opLength    opcode = classLoad | modeLength
	opRecall    opcode = classLoad | modeMemory
	opHeaderLen opcode = classLoadX | modeHeader | sizeByte
	opStore     opcode = classStore
	opAnd       opcode = classALU | 0x50
	opNegate    opcode = classALU | 0x80
	opToX       opcode = classMove
	opToA       opcode = classMove | 0x80
	opReturn    opcode = classReturn

	opJump         opcode = classJump
	opEqual        opcode = classJump | 0x10
	opGreater      opcode = classJump | 0x20
	opGreaterEqual opcode = classJump | 0x30
	opAnySet       opcode = classJump | 0x40

	// opLabel is no instruction, but the place that jumps go to.
	opLabel opcode = 0xffff

	memoryWords = 16
)

var opArithmetic = map[string]opcode{
	"+": classALU, "-": classALU | 0x10, "*": classALU | 0x20, "/": classALU | 0x30, "|": classALU | 0x40,
	"&": classALU | 0x50, "<<": classALU | 0x60, ">>": classALU | 0x70, "%": classALU | 0x90, "^": classALU | 0xa0,
}

// code is an instruction whose jumps go to labels.
type code struct {
	op   opcode
	k    uint32
	size int  // octets of a load
	x    bool // the operand is X, not k
	// yes and no are labels of a jump; of a label yes is its number.
	yes, no int32
}

func (c *compiler) add(x ...code) { c.code = append(c.code, x...) }

// newLabel returns the number of a label; 0 is none.
func (c *compiler) newLabel() int32 {
	c.labels++
	return c.labels
}

// label puts a label here.
func (c *compiler) label(n int32) { c.add(code{op: opLabel, yes: n}) }

func (c *compiler) jump(to int32) { c.add(code{op: opJump, yes: to}) }

// conditional reports whether a code jumps to one of two places.
func (x *code) conditional() bool { return x.op != opLabel && x.op&7 == classJump && x.op != opJump }

// assemble turns labels into distances. Those of conditional jumps have eight bits: where
// that is not enough the condition jumps over jumps that reach further.
func assemble(all []code) (Program, error) {
	long := map[int]bool{}
	at := make([]int, len(all))
	places := map[int32]int{}
	for changed := true; changed; {
		changed = false
		n := 0
		for i := range all {
			at[i] = n
			switch {
			case all[i].op == opLabel:
				places[all[i].yes] = n
			case long[i]:
				n += 3
			case all[i].op == opJump && i+1 < len(all) && all[i+1].op == opLabel && all[i+1].yes == all[i].yes:
				// It would jump to what follows.
			default:
				n++
			}
		}
		for i := range all {
			if x := &all[i]; x.conditional() && !long[i] && (places[x.yes]-at[i]-1 > 255 || places[x.no]-at[i]-1 > 255) {
				long[i], changed = true, true
			}
		}
	}
	var p Program
	for i := range all {
		x := &all[i]
		raw := bpf.RawInstruction{Op: uint16(x.op), K: x.k}
		switch {
		case x.op == opLabel:
			continue
		case x.op == opJump:
			if raw.K = uint32(places[x.yes] - at[i] - 1); i+1 < len(all) && all[i+1].op == opLabel && all[i+1].yes == x.yes {
				continue
			}
		case x.conditional():
			if x.x {
				raw.Op |= sourceX
			}
			if long[i] {
				raw.Jt, raw.Jf = 0, 1
				p = append(p, raw, bpf.RawInstruction{Op: uint16(opJump), K: uint32(places[x.yes] - at[i] - 2)},
					bpf.RawInstruction{Op: uint16(opJump), K: uint32(places[x.no] - at[i] - 3)})
				continue
			}
			raw.Jt, raw.Jf = uint8(places[x.yes]-at[i]-1), uint8(places[x.no]-at[i]-1)
		case x.op&7 == classALU && x.x:
			raw.Op |= sourceX
		case x.op == opLoad || x.op == opLoadX:
			raw.Op |= map[int]uint16{1: sizeByte, 2: sizeHalf, 4: sizeWord}[x.size]
		}
		p = append(p, raw)
	}
	if len(p) > MaxInstructions {
		return nil, fmt.Errorf("the filter makes a program of %d instructions, and %d are taken: ask for less", len(p), MaxInstructions)
	}
	return p, nil
}
