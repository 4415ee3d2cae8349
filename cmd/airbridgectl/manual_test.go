package main

import (
	"flag"
	"slices"
	"strings"
	"testing"

	"airbridged/internal/mantest"
)

// common are the flags of every command.
func common() []string { return append(typed(flags("", &env{})), "--help") }

// flagsOf are a command's own flags.
func flagsOf(c command) []string {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	c.setup(fs)
	return typed(fs)
}

// typed are the flags of a set, as one types them.
func typed(fs *flag.FlagSet) (list []string) {
	fs.VisitAll(func(f *flag.Flag) {
		dashes := "--"
		if len(f.Name) == 1 {
			dashes = "-"
		}
		list = append(list, dashes+f.Name)
	})
	slices.Sort(list)
	return list
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

// Whoever adds a command or a flag finds it missing here: airbridgectl(1) is
// docs/man/airbridgectl.1.scd.
func TestManualHasEveryCommandAndFlag(t *testing.T) {
	page := mantest.Page(t, "airbridgectl.1")
	if got, want := mantest.Flags(page["OPTIONS"]), sorted(append(common(), "--version")); !slices.Equal(got, want) {
		t.Errorf("OPTIONS of the page: %q, of the program: %q", got, want)
	}
	headings := map[string]bool{"help [COMMAND]": true}
	for _, c := range withSubs(commands) {
		heading := strings.TrimSpace(c.name + " " + c.args)
		headings[heading] = true
		text, ok := page[heading]
		if !ok {
			t.Errorf("the page has no section %q", heading)
			continue
		}
		own := flagsOf(c)
		if got := mantest.Flags(text); !slices.Equal(got, own) {
			t.Errorf("%s: the page has %q, the program %q", c.name, got, own)
		}
		for _, f := range own {
			if !slices.Contains(mantest.Mentioned(c.help), f) {
				t.Errorf("%s: its help does not explain %s", c.name, f)
			}
		}
	}
	for heading := range page {
		if heading != strings.ToUpper(heading) && !headings[heading] && heading != "" {
			t.Errorf("the page explains %q, which the program does not know", heading)
		}
	}
}

// The shells propose every command, and every flag of it: see
// packaging/completion.
func TestCompletionHasEveryCommandAndFlag(t *testing.T) {
	names := []string{"help"}
	for _, c := range commands {
		names = append(names, c.name)
	}
	list := []mantest.Proposal{
		{Line: "airbridgectl ", Want: names},
		{Line: "airbridgectl --", Want: append(common(), "--version")},
	}
	for _, c := range withSubs(commands) {
		list = append(list, mantest.Proposal{Line: "airbridgectl " + c.name + " -", Want: append(flagsOf(c), common()...)})
	}
	for _, c := range commands {
		var subs []string
		for _, s := range c.subs {
			subs = append(subs, strings.TrimPrefix(s.name, c.name+" "))
		}
		if len(subs) > 0 {
			list = append(list, mantest.Proposal{Line: "airbridgectl " + c.name + " ", Want: subs, Other: true})
		}
	}
	mantest.Check(t, list)
}

// What a flag takes is proposed behind it, also where flags of every command
// stand before the command.
func TestCompletionOfValues(t *testing.T) {
	mantest.Check(t, []mantest.Proposal{
		{Line: "airbridgectl pub --priority ", Want: []string{"high", "low", "normal"}},
		{Line: "airbridgectl --json pub --qos 1 --priority l", Want: []string{"low"}},
		{Line: "airbridgectl --color never --socket /tmp/x st", Want: []string{"status"}},
		{Line: "airbridgectl status --color ", Want: []string{"always", "auto", "never"}},
		{Line: "airbridgectl pub /a/b ", Want: nil},
	})
	// Bash cuts --qos=1 into three words.
	for line, want := range map[string][]string{"pub --qos = ": {"0", "1"}, "pub --qos =": {"0", "1"}, "pub --qos = 1": {"1"}, "doctor --config /et": {"/etc"}} {
		if got := mantest.Bash(t, "airbridgectl "+line)[0]; !slices.Equal(got, want) {
			t.Errorf("%s: proposes %q", line, got)
		}
	}
}
