package bpf

// relation reads a comparison of two numbers. If there is none it takes nothing, and ok
// is false.
func (p *parser) relation(depth int) (n node, ok bool, err error) {
	start := p.i
	switch t := p.peek(); {
	case t.kind == number, p.is("("), p.is("-"), p.is("len"):
	case t.kind == name:
		if _, ok := constants()[t.text]; !ok {
			return nil, false, nil
		}
	case t.kind == word && protocols()[t.text]:
		if next := &p.tokens[p.i+1]; next.kind != word || next.text != "[" {
			return nil, false, nil
		}
	default:
		return nil, false, nil
	}
	sure := false
	a, err := p.value(0, depth, &sure)
	if err == nil {
		for _, op := range []struct {
			text, op string
			not      bool
		}{{">=", ">=", false}, {"<=", ">", true}, {"!=", "=", true}, {">", ">", false}, {"<", ">=", true}, {"=", "=", false}} {
			if !p.take(op.text) {
				continue
			}
			b, err := p.value(0, depth, new(bool))
			return relation{op.op, op.not, a, b}, true, err
		}
		err = p.unexpected("a comparison, such as = or !=")
	}
	// Only an index says for certain that numbers are meant: a parenthesis may hold
	// anything, and a number may be a port.
	if first := &p.tokens[start]; sure && first.text != "(" {
		return nil, false, err
	}
	p.i = start
	return nil, false, nil
}

// binding are the operators of numbers by how strongly they bind; all from the left. The
// grammar of libpcap forgets to say it of % and ^, so these two take what stands right
// before them, and all that follows.
var binding = map[string]int{"|": 1, "&": 2, "<<": 3, ">>": 3, "+": 4, "-": 4, "*": 5, "/": 5, "%": 9, "^": 9}

const unary = 8

// value reads a number whose operators bind more strongly than bound. sure is set when
// what was read can be nothing else.
func (p *parser) value(bound, depth int, sure *bool) (value, error) {
	if depth++; depth > maxDepth {
		return nil, p.fail(p.peek().at, "more than %d levels of parentheses", "", maxDepth)
	}
	a, err := p.operand(depth, sure)
	for err == nil {
		t := p.peek()
		strength, ok := binding[t.text]
		if t.kind != word || !ok || strength <= bound {
			return a, nil
		}
		p.i++
		if strength > unary {
			strength = 0
		}
		var b value
		if b, err = p.value(strength, depth, sure); err == nil {
			a, err = p.fold(arithmetic{t.at, t.text, a, b})
		}
	}
	return nil, err
}

func (p *parser) operand(depth int, sure *bool) (value, error) {
	t := p.peek()
	switch {
	case t.kind == number:
		p.i++
		return constant(t.n), nil
	case t.kind == name:
		if n, ok := constants()[t.text]; ok {
			p.i++
			return constant(n), nil
		}
	case p.take("len"):
		*sure = true
		return length{}, nil
	case p.take("("):
		a, err := p.value(0, depth, sure)
		if err == nil && !p.take(")") {
			err = p.unexpected("an operator, or a closing parenthesis")
		}
		return a, err
	case p.take("-"):
		a, err := p.value(unary, depth, sure)
		if err != nil {
			return nil, err
		}
		if c, ok := a.(constant); ok {
			return -c, nil
		}
		return negative{a}, err
	case t.kind == word && protocols()[t.text]:
		p.i++
		if !p.take("[") {
			return nil, p.unexpected("[")
		}
		*sure = true
		l := load{at: t.at, proto: t.text, size: 1}
		var err error
		if l.index, err = p.value(0, depth, sure); err != nil {
			return nil, err
		}
		if c, ok := l.index.(constant); ok && c > 0xffff {
			return nil, p.fail(t.at, "no frame has an octet %d", "", c)
		}
		if p.take(":") {
			n := p.peek()
			if n.kind != number || n.n != 1 && n.n != 2 && n.n != 4 {
				return nil, p.unexpected("1, 2 or 4 octets")
			}
			p.i++
			l.size = int(n.n)
		}
		if !p.take("]") {
			return nil, p.unexpected("an operator, : or ]")
		}
		return l, nil
	}
	return nil, p.unexpected("a number, or a part of the frame such as tcp[13]")
}

// fold computes what is known already.
func (p *parser) fold(x arithmetic) (value, error) {
	b, known := x.b.(constant)
	if known {
		switch {
		case (x.op == "/" || x.op == "%") && b == 0:
			return nil, p.fail(x.at, "a division by zero", "")
		case (x.op == "<<" || x.op == ">>") && b > 31:
			return nil, p.fail(x.at, "a shift by more than 31 bits", "")
		}
	}
	a, ok := x.a.(constant)
	if !ok || !known {
		return x, nil
	}
	switch x.op {
	case "+":
		return a + b, nil
	case "-":
		return a - b, nil
	case "*":
		return a * b, nil
	case "/":
		return a / b, nil
	case "%":
		return a % b, nil
	case "&":
		return a & b, nil
	case "|":
		return a | b, nil
	case "^":
		return a ^ b, nil
	case "<<":
		return a << b, nil
	default:
		return a >> b, nil
	}
}
