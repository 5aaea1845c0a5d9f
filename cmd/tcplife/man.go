package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newMan writes the manual pages from what the help texts are made of, so that they
// cannot drift. It is for those who package the program: make man.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:         "man FOLDER",
		Short:       "Write the manual pages into a folder",
		Hidden:      true,
		Annotations: map[string]string{exitNote: printExit},
		Example:     `  tcplife man folder`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("man takes the folder that the pages go to")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			for _, of := range manCommands(c.Root()) {
				path := filepath.Join(args[0], manName(of)+".1")
				if err := os.WriteFile(path, []byte(manPage(of)), 0o644); err != nil {
					return &exitError{exitOutput, fmt.Errorf("writing a manual page: %w (does the folder exist?)", err)}
				}
				fmt.Fprintln(c.OutOrStdout(), path)
			}
			return nil
		},
	}
}

// manCommands are those that have a page of their own.
func manCommands(root *cobra.Command) (all []*cobra.Command) {
	all = append(all, root)
	for _, c := range root.Commands() {
		if c.Runnable() && c.IsAvailableCommand() && c.Name() != "help" && c.Name() != "completion" {
			all = append(all, c)
		}
	}
	return all
}

func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manPage returns the page of a command in the macros of man(7).
func manPage(c *cobra.Command) string {
	var b strings.Builder
	section := func(name string) { fmt.Fprintf(&b, ".SH %s\n", name) }
	fmt.Fprintf(&b, ".\\\" Written by make man from the help texts.\n.TH %s 1 \"\" \"tcplife\" \"User Commands\"\n", strings.ToUpper(manName(c)))
	section("NAME")
	short := c.Short
	fmt.Fprintf(&b, "%s \\- %s\n", roff(manName(c)), roff(strings.ToLower(short[:1])+short[1:]))
	section("SYNOPSIS")
	if c.HasParent() {
		fmt.Fprintf(&b, ".B %s\n", roff(c.CommandPath()))
		_, args, _ := strings.Cut(c.UseLine(), c.Name()+" ")
		if args != "" {
			fmt.Fprintf(&b, "%s\n", roff(args))
		}
	} else {
		b.WriteString(".B tcplife\n\\fICOMMAND\\fR [\\fIflags\\fR] [\\fIFILE\\fR...]\n")
	}
	section("DESCRIPTION")
	long := c.Long
	if long == "" {
		long = c.Short + "."
	}
	b.WriteString(roffText(long))
	if !c.HasParent() {
		section("COMMANDS")
		for _, sub := range manCommands(c)[1:] {
			fmt.Fprintf(&b, ".TP\n.BR %s (1)\n%s\n", roff(manName(sub)), roff(sub.Short+"."))
		}
		fmt.Fprintf(&b, ".TP\n.B tcplife help\n%s\n", roff("Print the help of a command."))
		fmt.Fprintf(&b, ".TP\n.B tcplife completion\n%s\n", roff("Write a completion script for bash, zsh, fish or PowerShell."))
	}
	if c.LocalFlags().HasAvailableFlags() {
		section("OPTIONS")
		c.LocalFlags().VisitAll(func(f *pflag.Flag) { b.WriteString(manFlag(f)) })
	}
	if exits := c.Annotations[exitNote]; exits != "" {
		head, rest, _ := strings.Cut(exits, "\n")
		section("EXIT STATUS")
		if _, order, ok := strings.Cut(head, ", "); ok {
			fmt.Fprintf(&b, "%s\n", roff(capitalized(strings.TrimSuffix(order, ":"))+":"))
		}
		for line := range strings.Lines(rest) {
			code, meaning, _ := strings.Cut(strings.TrimSpace(line), " ")
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", code, roff(strings.TrimSpace(meaning)))
		}
	}
	if strings.HasPrefix(c.Name(), "analyze") || !c.HasParent() {
		manSettings(&b)
	}
	if c.Example != "" {
		section("EXAMPLES")
		b.WriteString(".nf\n")
		for line := range strings.Lines(c.Example) {
			b.WriteString(roff(strings.TrimSpace(line)) + "\n")
		}
		b.WriteString(".fi\n")
	}
	section("SEE ALSO")
	var others []string
	for _, o := range manCommands(c.Root()) {
		if o.Name() != c.Name() {
			others = append(others, ".BR "+roff(manName(o))+" (1)")
		}
	}
	b.WriteString(strings.Join(append(others, ".BR tcpdump (8)"), " ,\n") + "\n")
	return b.String()
}

// manSettings are the sections on the environment and the file.
func manSettings(b *strings.Builder) {
	b.WriteString(".SH ENVIRONMENT\n")
	for _, name := range settingNames {
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", settingVariable(name), roff("What --"+name+" is where the command line does not say it."))
	}
	for _, x := range [][2]string{
		{configVariable, "Another configuration file; none goes without."},
		{"NO_COLOR, CLICOLOR, CLICOLOR_FORCE", "Whether text has colours, where neither --color nor TCPLIFE_COLOR says it."},
		{"LC_ALL, LC_CTYPE, LANG", "Where they name no UTF-8, text is ASCII alone."},
	} {
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(x[0]), roff(x[1]))
	}
	b.WriteString(".SH FILES\n")
	fmt.Fprintf(b, ".TP\n.I $XDG_CONFIG_HOME/tcplife/config.yaml\n%s\n",
		roff("Settings ("+strings.Join(settingNames, ", ")+"), timers of hosts (profiles) and colours (colors). What the environment or the command line says comes first."))
}

// manFlag returns the paragraph of a flag.
func manFlag(f *pflag.Flag) string {
	name := "\\fB" + roff("--"+f.Name) + "\\fR"
	if f.Shorthand != "" {
		name = "\\fB" + roff("-"+f.Shorthand) + "\\fR, " + name
	}
	kind, text := pflag.UnquoteUsage(f)
	if kind != "" {
		name += " \\fI" + roff(kind) + "\\fR"
	}
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "[]" && f.DefValue != "0s" {
		text += " (default " + f.DefValue + ")"
	}
	return ".TP\n" + name + "\n" + roff(capitalized(text)+".") + "\n"
}

func capitalized(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// roffText writes paragraphs.
func roffText(text string) string {
	var b strings.Builder
	for i, p := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		for line := range strings.Lines(p) {
			b.WriteString(roff(strings.TrimSpace(line)) + "\n")
		}
	}
	return b.String()
}

// roff escapes what troff would take for a command, and keeps hyphens and quotes as
// they are typed.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}
