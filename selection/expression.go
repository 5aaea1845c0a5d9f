package selection

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"

	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// expression is a compiled filter.
type expression struct {
	text    string
	program *vm.Program
	// used are the variables that the program loads, by name: fields, and what calls
	// of our own functions were turned into.
	used map[string]variable
	// numbered are the fields among them that are known later than the others.
	numbered []*report.Field
}

// variable computes what a name stands for. It may be called on several goroutines.
type variable func(c *report.Connection) any

// ExpressionError says what is wrong with an expression, and where.
type ExpressionError struct {
	Expression string
	// Line and Column count from 1; Column is 0 where the whole is meant.
	Line, Column int
	What         string
}

// Error returns the fault with its column and, for an expression of one line, a mark
// below the place.
func (e *ExpressionError) Error() string {
	if e.Column == 0 {
		return e.What
	}
	if strings.Contains(e.Expression, "\n") {
		return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.What)
	}
	return fmt.Sprintf("column %d: %s\n  %s\n  %s^", e.Column, e.What, strings.ReplaceAll(e.Expression, "\t", " "), strings.Repeat(" ", e.Column-1))
}

// compile reads and checks an expression.
func compile(text string) (*expression, error) {
	x := &expression{text: text, used: map[string]variable{}}
	r := &resolver{expression: x}
	options := []expr.Option{
		expr.Env(fieldTypes()),
		expr.AsBool(),
		expr.DisableBuiltin("now"), // same input, same output
		expr.Function("known", func(params ...any) (any, error) { return known(params[0]), nil }, new(func(any) bool)),
		expr.Patch(r),
		func(c *conf.Config) { r.config = c },
	}
	var err error
	x.program, err = expr.Compile(text, options...)
	if f := r.first(); f != nil {
		// The resolver knows more of what a name means than the checker.
		at := (&file.Error{Location: f.at}).Bind(file.NewSource(text))
		return nil, &ExpressionError{text, at.Line, at.Column + 1, f.what}
	}
	if err != nil {
		return nil, explained(text, err)
	}
	return x, nil
}

// fieldTypes are the types of all fields, by name. An integer that may be unknown
// counts as a number with decimals, which alone has a value for that.
func fieldTypes() types.Map {
	m := types.Map{}
	for _, f := range report.Fields() {
		m[f.Name] = fieldType(f)
	}
	return m
}

func fieldType(f *report.Field) types.Type {
	switch f.Kind {
	case report.KindInteger, report.KindFrame:
		if !f.Optional {
			return types.Int
		}
		return types.Float64
	case report.KindSeconds:
		return types.Float64
	case report.KindFlag:
		return types.Bool
	case report.KindInstant:
		return types.TypeOf(time.Time{})
	case report.KindList:
		return types.TypeOf(listOf(f).empty)
	}
	return types.String
}

// asVariable turns a field's value into the expression's type for it.
func asVariable(f *report.Field, v report.Value) any {
	switch f.Kind {
	case report.KindInteger:
		switch {
		case !f.Optional:
			return int(v.N)
		case v.Kind == report.KindUnknown:
			return math.NaN()
		}
		return float64(v.N)
	case report.KindFrame:
		return int(wire.FrameID(v.N).Number())
	case report.KindSeconds:
		if v.Kind == report.KindUnknown {
			return math.NaN()
		}
		return seconds(time.Duration(v.N))
	case report.KindFlag:
		return v.N != 0
	case report.KindInstant:
		if v.Kind == report.KindUnknown {
			return time.Time{}
		}
		return wire.Time(v.N).Std()
	}
	return v.Text
}

// seconds is d as the number that its exact decimals are read as: so a duration
// equals what a report prints of it. (Duration.Seconds adds two parts, each rounded.)
func seconds(d time.Duration) float64 { return float64(d) / 1e9 }

// fieldVariable computes a field.
func fieldVariable(f *report.Field) variable {
	if f.Kind == report.KindList {
		return listOf(f).rows
	}
	return func(c *report.Connection) any { return asVariable(f, f.Get(c)) }
}

// known is the function of that name.
func known(v any) bool {
	switch v := v.(type) {
	case float64:
		return !math.IsNaN(v)
	case string:
		return v != ""
	case time.Time:
		return !v.IsZero()
	case [][]int:
		return len(v) > 0
	case []string:
		return v != nil
	}
	return true
}

// typeWords are the types of a message in the words of the list of fields.
var typeWords = strings.NewReplacer("interface {}", "anything", "[]int", "list of integers", "float64", "number", "time.Time", "time", "time.Duration", "duration", "bool", "yes or no", "[]string", "list of words",
	"string", "text", "[]selection.stateRow", "list of states", "[]selection.eventRow", "list of events", "[]selection.findingRow", "list of findings",
	"[][]int", "list of ranges", "selection.stateRow", "state", "selection.eventRow", "event", "selection.findingRow", "finding", "selection.icmpRow", "icmp")

var (
	unknownName  = regexp.MustCompile(`^unknown name (.+)$`)
	unknownField = regexp.MustCompile(`^type ([^ ]+) has no (?:field|method) (.+)$`)
)

// explained turns an error of the library into one that says what to do about it.
func explained(text string, err error) error {
	var at *file.Error
	if !errors.As(err, &at) {
		what := typeWords.Replace(err.Error())
		if got, ok := strings.CutPrefix(what, "expected yes or no, but got "); ok {
			what = "it gives a " + got + ", not yes or no: compare it with something"
		}
		return &ExpressionError{Expression: text, What: what}
	}
	e := &ExpressionError{text, at.Line, at.Column + 1, typeWords.Replace(at.Message)}
	if m := unknownName.FindStringSubmatch(at.Message); m != nil {
		e.What = unknown(m[1])
	} else if m := unknownField.FindStringSubmatch(at.Message); m != nil {
		e.What = unknownIn(m[1], m[2])
	} else if strings.Contains(at.Message, "mismatched types time.Time") || strings.Contains(at.Message, "and time.Time)") {
		e.What += `; an instant is written date("2026-01-02T03:04:05Z")`
	} else if lone(text, '=') && strings.Contains(at.Message, `"="`) {
		e.What = "= assigns nothing here: compare with =="
	} else if strings.Contains(at.Message, "unrecognized character") {
		e.What += "; texts stand in quotes, and && and || (or: and, or) join conditions"
	} else if strings.HasPrefix(at.Message, "unexpected token EOF") {
		e.What = "it ends too soon"
	}
	return e
}

// lone reports whether an operator that is written twice stands there once.
func lone(text string, sign byte) bool {
	for i := range len(text) {
		if text[i] == sign && (i == 0 || !strings.ContainsRune("=!<>", rune(text[i-1]))) && (i+1 == len(text) || text[i+1] != sign) {
			return true
		}
	}
	return false
}

// unknown says what may have been meant by a name.
func unknown(name string) string {
	if where := fieldsWithWord(name); len(where) > 0 {
		return fmt.Sprintf("there is no field %s; as a value of %s it stands in quotes: %q", name, strings.Join(where, " or "), name)
	}
	return report.UnknownField(name).Error() + " ('tcplife explain fields' lists them)"
}

// fieldsWithWord returns the fields that have the name in their closed list.
func fieldsWithWord(name string) (fields []string) {
	for _, f := range report.Fields() {
		for _, w := range f.Words {
			if w == name && len(fields) < 2 {
				fields = append(fields, f.Name)
			}
		}
	}
	return fields
}

// evaluator runs an expression on one goroutine.
type evaluator struct {
	*expression
	vm  vm.VM
	env map[string]any
}

func (x *expression) evaluator() *evaluator {
	return &evaluator{expression: x, env: make(map[string]any, len(x.used)+len(x.numbered))}
}

// load computes the variables on c.
func (e *evaluator) load(c *report.Connection) {
	for name, get := range e.used {
		e.env[name] = get(c)
	}
}

// run evaluates what was loaded.
func (e *evaluator) run() (bool, error) {
	v, err := e.vm.Run(e.program, e.env)
	if err != nil {
		var at *file.Error
		if errors.As(err, &at) {
			err = errors.New(typeWords.Replace(at.Message))
		}
		return false, err
	}
	yes, _ := v.(bool)
	return yes, nil
}
