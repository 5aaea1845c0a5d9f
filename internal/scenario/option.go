package scenario

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Option is one TCP option: a name of optionKinds and its arguments as numbers,
// or as octets for those that carry any.
type Option struct {
	Name string
	Args []int64
	Data []byte
}

// maxOptions is the room that the data offset leaves (RFC 9293 section 3.1).
const maxOptions = 40

// optionKinds says how each option is written and encoded. form: "" no argument,
// "n" one number, "ts" val N ecr N, "blocks" a:b pairs, "hex" octets, "kind" a
// number and octets.
var optionKinds = map[string]struct {
	kind uint8
	size int // of the number, for form "n"
	form string
}{
	"eol":    {0, 0, ""},
	"nop":    {1, 0, ""},
	"mss":    {2, 2, "n"},
	"wscale": {3, 1, "n"},
	"sackOK": {4, 0, ""},
	"sack":   {5, 0, "blocks"},
	"TS":     {8, 0, "ts"},
	"uto":    {28, 2, "n"},
	"mptcp":  {30, 0, "hex"},
	"tfo":    {34, 0, "hex"},
	"opt":    {0, 0, "kind"},
}

// parseOption reads one option, as written between commas.
func parseOption(text string) (Option, error) {
	f := strings.Fields(text)
	if len(f) == 0 {
		return Option{}, fmt.Errorf("empty option")
	}
	o := Option{Name: f[0]}
	k, ok := optionKinds[f[0]]
	if !ok {
		return o, fmt.Errorf("unknown option %q", f[0])
	}
	args := f[1:]
	number := func(s string, bits int) error {
		n, err := strconv.ParseUint(s, 10, bits)
		if err != nil {
			return fmt.Errorf("option %s: want a number of %d bits, got %q", o.Name, bits, s)
		}
		o.Args = append(o.Args, int64(n))
		return nil
	}
	octets := func(args []string) error {
		if len(args) == 0 {
			return nil
		}
		b, err := hex.DecodeString(args[0])
		if err != nil || len(args) != 1 || len(b) == 0 {
			return fmt.Errorf("option %s: want octets in hexadecimal, got %q", o.Name, strings.Join(args, " "))
		}
		o.Data = b
		return nil
	}
	switch k.form {
	case "":
		if len(args) != 0 {
			return o, fmt.Errorf("option %s takes no argument", o.Name)
		}
	case "n":
		if len(args) != 1 {
			return o, fmt.Errorf("option %s: want one number", o.Name)
		}
		return o, number(args[0], 8*k.size)
	case "ts":
		if len(args) != 4 || args[0] != "val" || args[2] != "ecr" {
			return o, fmt.Errorf("option TS: want TS val N ecr N")
		}
		if err := number(args[1], 32); err != nil {
			return o, err
		}
		return o, number(args[3], 32)
	case "blocks":
		if len(args) == 0 {
			return o, fmt.Errorf("option sack: want blocks such as 101:201")
		}
		for _, a := range args {
			l, r, _ := strings.Cut(a, ":")
			if err := number(l, 32); err != nil {
				return o, err
			}
			if err := number(r, 32); err != nil {
				return o, err
			}
		}
	case "hex":
		return o, octets(args)
	case "kind":
		if len(args) == 0 {
			return o, fmt.Errorf("option opt: want a kind and octets in hexadecimal")
		}
		if err := number(args[0], 8); err != nil {
			return o, err
		}
		if o.Args[0] < 2 {
			return o, fmt.Errorf("option opt: kinds 0 and 1 are eol and nop")
		}
		return o, octets(args[1:])
	}
	return o, nil
}

// String returns the option as scripts write it.
func (o Option) String() string {
	k := optionKinds[o.Name]
	b := []string{o.Name}
	switch k.form {
	case "ts":
		b = append(b, "val", fmt.Sprint(o.Args[0]), "ecr", fmt.Sprint(o.Args[1]))
	case "blocks":
		for i := 0; i+1 < len(o.Args); i += 2 {
			b = append(b, fmt.Sprintf("%d:%d", o.Args[i], o.Args[i+1]))
		}
	default:
		for _, a := range o.Args {
			b = append(b, fmt.Sprint(a))
		}
		if len(o.Data) > 0 {
			b = append(b, hex.EncodeToString(o.Data))
		}
	}
	return strings.Join(b, " ")
}

// encode returns the option's kind and what follows its length octet. sackISN is
// what SACK edges are relative to.
func (o Option) encode(sackISN uint32) (kind uint8, data []byte) {
	k := optionKinds[o.Name]
	switch k.form {
	case "n":
		b := binary.BigEndian.AppendUint32(nil, uint32(o.Args[0]))
		return k.kind, b[4-k.size:]
	case "ts":
		b := binary.BigEndian.AppendUint32(nil, uint32(o.Args[0]))
		return k.kind, binary.BigEndian.AppendUint32(b, uint32(o.Args[1]))
	case "blocks":
		var b []byte
		for _, a := range o.Args {
			b = binary.BigEndian.AppendUint32(b, sackISN+uint32(a))
		}
		return k.kind, b
	case "kind":
		return uint8(o.Args[0]), o.Data
	}
	return k.kind, o.Data
}

// size is the option's length in the header.
func (o Option) size() int {
	kind, data := o.encode(0)
	if kind < 2 {
		return 1
	}
	return 2 + len(data)
}
