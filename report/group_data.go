package report

import (
	"strconv"
)

var (
	_ = registerGroups("csv", func(p *groupPrint) error { return p.table(newTable(',')) })
	_ = registerGroups("tsv", func(p *groupPrint) error { return p.table(newTable('\t')) })
	_ = registerGroups("ndjson", func(p *groupPrint) error { return p.json(false) })
	_ = registerGroups("json", func(p *groupPrint) error { return p.json(true) })
)

// table writes a line for each group. Groups that there was no room for are one line,
// with * for every key.
func (p *groupPrint) table(f *table) error {
	f.w = p.w
	var b Buffer
	line := func() error {
		f.out = append(append(f.out, b.B[1:]...), '\n') // without the first separator
		b.Reset()
		if len(f.out) >= flushAt {
			return f.Flush()
		}
		return nil
	}
	if !p.o.Further {
		for i := range p.keys {
			f.text(&b, p.keys[i].Name)
		}
		for _, c := range groupColumns {
			f.text(&b, c.name)
		}
		if err := line(); err != nil {
			return err
		}
	}
	write := func(g *group) error {
		for i := range p.keys {
			if g == p.others {
				f.text(&b, "*")
			} else {
				f.text(&b, p.keys[i].text(g.key[i], len(p.o.Inputs) > 1))
			}
		}
		for _, c := range groupColumns {
			b.B = c.get(g).append(append(b.B, f.separator), false)
		}
		return line()
	}
	for _, g := range p.groups {
		if err := write(g); err != nil {
			return err
		}
	}
	if p.others != nil {
		if err := write(p.others); err != nil {
			return err
		}
	}
	return f.Flush()
}

// json writes an object for each group and the summary: in lines, or as one document.
func (p *groupPrint) json(document bool) error {
	a := appender{multi: len(p.o.Inputs) > 1}
	var b []byte
	if document {
		b = append(b, `{"schema":1,"groups":[`...)
	}
	list := p.groups
	if p.others != nil {
		list = append(list[:len(list):len(list)], p.others)
	}
	for i, g := range list {
		if document {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, '\n')
		}
		b = a.group(b, p, g)
		if !document {
			b = append(b, '\n')
		}
		if len(b) >= flushAt {
			if _, err := p.w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	if document {
		b = append(b, "\n],\"summary\":"...)
	}
	b = a.summary(b, p.s)
	if document {
		b = append(b, '}')
	}
	_, err := p.w.Write(append(b, '\n'))
	return err
}

// group appends the object of one group.
func (a *appender) group(b []byte, p *groupPrint, g *group) []byte {
	b = append(b, `{"type":"group","schema":1,"by":{`...)
	for i := range p.keys {
		if g == p.others || g.key[i].Kind == KindUnknown {
			continue
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(appendString(b, p.keys[i].Name), ':')
		b = a.value(b, g.key[i], &p.keys[i])
	}
	b = append(b, '}')
	if g == p.others {
		b = appendField(b, "others", p.folded)
	}
	for _, c := range groupColumns {
		if v := c.get(g); v.Kind != KindUnknown {
			b = append(b, ',', '"')
			b = append(b, c.name...)
			b = append(b, '"', ':')
			b = v.append(b, false)
		}
	}
	return append(b, '}')
}

// value appends a key's value with the type that its field has in JSON.
func (a *appender) value(b []byte, v Value, k *GroupKey) []byte {
	switch v.Kind {
	case KindInteger, KindSeconds, KindFlag:
		return v.append(b, a.multi)
	case KindFrame:
		if !a.multi {
			return strconv.AppendInt(b, v.N, 10)
		}
	case KindInstant:
		return appendString(b, k.text(v, a.multi))
	}
	return appendString(b, string(v.append(nil, a.multi)))
}
