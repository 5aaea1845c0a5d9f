package main

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/selection"
	"github.com/tcplife/tcplife/wire"
)

// selectionOptions are the flags of analyze that say which connections the report is
// about.
type selectionOptions struct {
	wish         selection.Wish
	since, until string
	instants     []instant // since and until, those that are given
	made         *selection.Selection
}

func (o *selectionOptions) addFlags(f *pflag.FlagSet) {
	o.addWish(f)
	f.StringVar(&o.since, "since", "", "only connections under way at or after this `instant`: RFC 3339, HH:MM:SS, +12.5s from the start or -1s from the end")
	f.StringVar(&o.until, "until", "", "only connections under way at or before this `instant`, written as for --since")
}

// addWish adds the flags that ask for nothing but the connection itself.
func (o *selectionOptions) addWish(f *pflag.FlagSet) {
	f.StringArrayVar(&o.wish.Filters, "filter", nil, "only connections for which this `expression` holds, such as 'close.reason == \"abort\" && duration > 5' (tcplife explain fields); may be repeated")
	f.StringArrayVar(&o.wish.Hosts, "host", nil, "only connections with this `address` at either end; may be repeated")
	f.StringArrayVar(&o.wish.Nets, "net", nil, "only connections with an address of this `network` (10.0.0.0/8) at either end; may be repeated")
	f.StringArrayVar(&o.wish.Ports, "port", nil, "only connections with this `port`, or one of this range (8000-8080), at either end; may be repeated")
	f.StringArrayVar(&o.wish.Services, "service", nil, "only connections to this `service`: the server's port, its well-known name (https), or ADDRESS:PORT; may be repeated")
	f.StringArrayVar(&o.wish.Findings, "finding", nil, "only connections with this `finding`: its ID, or a severity for that one and above; may be repeated")
}

// given reports whether there is anything to select by.
func (o *selectionOptions) given() bool {
	return !o.wish.Empty() || o.since != "" || o.until != ""
}

// validate checks what can be checked without opening anything.
func (o *selectionOptions) validate(zone *time.Location) error {
	if !o.given() {
		return nil
	}
	o.instants = o.instants[:0]
	for _, x := range [...]struct{ flag, value string }{{"--since", o.since}, {"--until", o.until}} {
		if x.value == "" {
			continue
		}
		i, err := parseInstant(x.flag, x.value, zone)
		if err != nil {
			return err
		}
		o.instants = append(o.instants, i)
	}
	_, err := selection.New(&o.wish)
	if err != nil {
		return usage("%w", err)
	}
	return nil
}

// apply makes a run report on the selected connections alone, and returns the source
// to read from then.
func (o *selectionOptions) apply(ctx context.Context, cfg *pipeline.Config, in *inputs, source capture.Source) (capture.Source, error) {
	if !o.given() {
		return source, nil
	}
	var err error
	if o.made, err = selection.New(&o.wish); err != nil {
		return nil, usage("%w", err)
	}
	times, source, err := resolved(ctx, o.instants, in, source)
	if err != nil {
		return nil, err
	}
	since, until := wire.Time(math.MinInt64), wire.Time(math.MaxInt64)
	var words []string
	for k, i := range o.instants {
		if i.flag == "--since" {
			since = times[k]
		} else {
			until = times[k]
		}
		words = append(words, i.flag+" "+shellWord(i.text))
	}
	if since > until {
		return nil, usage("--since %s is after --until %s", o.since, o.until)
	}
	if len(words) > 0 {
		o.made.Between(since, until, words...)
	}
	cfg.Select = func() report.Picker { return o.made.Picker() }
	cfg.Selection = o.made.Words()
	return source, nil
}

// shellWord returns a value as it is written in a shell.
func shellWord(s string) string {
	if strings.ContainsAny(s, " '\"$`\\") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// layoutOptions are the flags of analyze that say how connections are laid out.
type layoutOptions struct {
	columns []string
	sort    string
	limit   int
	groupBy []string

	// What they come to.
	parsed []report.Column
	peers  []string
	order  *report.Order
	groups []report.GroupKey
}

func (o *layoutOptions) addFlags(f *pflag.FlagSet) {
	f.StringSliceVar(&o.columns, "columns", nil, "text, csv, tsv, markdown: the `columns`, by field (tcplife explain fields); client and server stand for address and port; what other tools would say (also in json, ndjson): "+strings.Join(report.Peers(), ", "))
	f.StringVar(&o.sort, "sort", "", "put the connections in the order of this `field`, or the groups in that of this column; with a minus before it (-duration) the largest first")
	f.IntVar(&o.limit, "limit", 0, "list this `number` of connections or groups, those that come first; the summary counts all")
	f.StringSliceVar(&o.groupBy, "group-by", nil, "count connections by `fields` that they have in common, with bytes and percentiles: "+strings.Join(groupNames(), ", ")+" or any field; several with a comma")
}

func groupNames() (names []string) {
	for _, w := range report.GroupWords() {
		names = append(names, w[0])
	}
	return names
}

// validate checks the flags against the format.
func (o *layoutOptions) validate(format string, all bool) (err error) {
	if o.parsed, o.peers, err = report.ParseColumns(o.columns); err != nil {
		return usage("--columns: %w", err)
	}
	if o.parsed != nil && (format == "json" || format == "ndjson") {
		return usage("--columns: %s has every field; there, --columns asks for other tools' views alone (%s)", format, strings.Join(report.Peers(), ", "))
	}
	if o.limit < 0 {
		return usage("--limit %d: give a number from 1", o.limit)
	}
	if o.limit > 0 && all {
		return usage("--limit %d and --all: give one of the two", o.limit)
	}
	if len(o.groupBy) > 0 {
		if o.groups, err = report.ParseGroup(o.groupBy); err != nil {
			return usage("--group-by: %w", err)
		}
		if len(o.columns) > 0 {
			return usage("--columns are those of connections, and --group-by has its own: give one of the two")
		}
		if _, err := report.NewGroups(format, o.groupOptions()); err != nil {
			return usage("--group-by: %w", err)
		}
		return nil
	}
	if o.sort != "" {
		if o.order, err = report.ParseOrder(o.sort); err != nil {
			return usage("--sort: %w", err)
		}
	}
	return nil
}

func (o *layoutOptions) groupOptions() *report.GroupOptions {
	return &report.GroupOptions{Keys: o.groups, Sort: o.sort, Limit: o.limit}
}

// given names a flag of these that is given, for flags that they do not go with.
func (o *layoutOptions) given() string {
	switch {
	case len(o.groupBy) > 0:
		return "--group-by"
	case o.sort != "":
		return "--sort"
	case o.limit != 0:
		return "--limit"
	case len(o.columns) > 0:
		return "--columns"
	}
	return ""
}

// maxListed is how many connections the text report lists in an order that was asked
// for, when nobody says how many: a screenful.
const maxListed = 20

// format returns the format that lays connections out as wished.
func (o *layoutOptions) format(name string, all bool, opts *report.Options) (report.Format, error) {
	if o.groups != nil {
		f, err := report.NewGroups(name, o.groupOptions())
		opts.Limit = o.limit
		return f, err
	}
	f, err := report.New(name)
	if err != nil {
		return nil, err
	}
	opts.Columns, opts.Peers, opts.Limit = o.parsed, o.peers, o.limit
	limit := o.limit
	switch {
	case name != "text":
	case o.order == nil:
		return f, nil // the text report has its own choice
	case limit == 0 && !all:
		limit = maxListed
	}
	if o.order == nil && limit == 0 {
		return f, nil
	}
	return report.Arrange(f, o.order, limit), nil
}
