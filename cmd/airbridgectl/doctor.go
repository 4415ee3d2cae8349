package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"airbridged/internal/doctor"
)

// defaultConfig is where the daemon looks for its configuration, too.
const defaultConfig = "/etc/airbridged/airbridged.toml"

var doctorCommand = command{
	name:    "doctor",
	summary: "find out what is wrong, and what to do about it",
	help: `Goes from the configuration over port, module, SIM, signal, network, data
connection and login to queue, disk and clock, and says of each in a line
whether it is ok, a warning, a FAIL, or skipped and why; what to do stands
behind it, and at the end what to do first.

A daemon that runs is asked, and through it the module, which takes no harm.
Without one this program opens the serial port itself and asks the module, up to
name lookup, which takes up to two minutes; it never registers the device or
connects to the cloud, it leaves the module as it was, and it does not touch a
port that somebody holds. Run it as root: others may not see everything.

With --take-port it asks the module itself also where a daemon runs: it stops
the service with its sockets, which whoever connects would start again, and
starts at the end what ran before. Programs cannot publish meanwhile.

The exit status is 0 if nothing failed (there may be warnings), and 1 if
something did.

flags:
  --config FILE   the daemon's configuration (default: the one that the daemon
                  has read, or where there is none
                  ` + defaultConfig + `)
  --take-port     stop the service, look, start it again

examples:
  airbridgectl doctor
  airbridgectl doctor --config ./airbridged.toml
  airbridgectl doctor --take-port
  airbridgectl doctor --json | jq -r '.findings[] | select(.verdict == "fail")'
`,
	setup: func(fs *flag.FlagSet) func(*env, []string) error {
		var config string
		var take bool
		fs.StringVar(&config, "config", "", "")
		fs.BoolVar(&take, "take-port", false, "")
		return func(e *env, args []string) error {
			if len(args) > 0 {
				return usageError{"doctor takes no arguments"}
			}
			config = configOf(e, config)
			if take {
				return e.withPort(config, func() error { return examine(e, config) })
			}
			return examine(e, config)
		}
	},
}

// configOf is the configuration to look at: the one that was named, the one that the daemon
// has read, or the usual one.
func configOf(e *env, named string) string {
	if named != "" {
		return named
	}
	ctx, cancel := context.WithTimeout(e.ctx, askTime)
	defer cancel()
	if c, err := e.client.Config(ctx); err == nil && len(c.Files) > 0 {
		return c.Files[0]
	}
	if config := configurationOf(e.socket); config != "" {
		return config
	}
	return defaultConfig
}

// errSick is how a failed check shows in the exit status. The report has told.
var errSick = errors.New("something is wrong")

func examine(e *env, config string) error {
	o := doctor.Options{Config: config, Socket: e.socket}
	if !e.json {
		o.Tell = func(f doctor.Finding) { e.printFinding(f) }
	}
	report, err := doctor.Examine(e.ctx, o)
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	if e.json {
		if err := e.printJSON(report); err != nil {
			return err
		}
	}
	if !e.json && err == nil {
		e.tellFirst(report)
	}
	if !report.OK {
		return told{errSick}
	}
	return nil
}

// How a finding is laid out: the verdict, the check, and the words.
const (
	verdictWidth = 9
	checkWidth   = 17
)

// verdictStyles are the verdicts as people see them.
var verdictStyles = map[doctor.Verdict]struct {
	word  string
	style style
}{
	doctor.OK:      {"ok", good},
	doctor.Warning: {"warning", minor},
	doctor.Fail:    {"FAIL", bad},
	doctor.Skipped: {"skipped", plain},
}

// printFinding writes one line, broken on a terminal where it is too wide.
func (e *env) printFinding(f doctor.Finding) {
	words := printable(f.Detail)
	if f.Advice != "" {
		words += " -- " + printable(f.Advice)
	}
	lines := []string{words}
	if terminalSize(e.stdout.w) != nil {
		lines = wrap(words, e.width()-verdictWidth-checkWidth)
	}
	v := verdictStyles[f.Verdict]
	fmt.Fprintf(e.stdout, "%s%*s%-*s%s\n", e.styled(v.style, v.word), verdictWidth-len(v.word), "", checkWidth, f.Check, lines[0])
	for _, line := range lines[1:] {
		fmt.Fprintf(e.stdout, "%*s%s\n", verdictWidth+checkWidth, "", line)
	}
}

// tellFirst is the last line: of several that fail, the first one is the reason of others.
func (e *env) tellFirst(report doctor.Report) {
	if report.First == "" {
		fmt.Fprintln(e.stdout, "\nnothing to do")
		return
	}
	words := fmt.Sprintf("do this first (%s): %s", report.First, printable(report.About(report.First).Advice))
	fmt.Fprintln(e.stdout)
	for _, line := range wrap(words, e.width()) {
		fmt.Fprintln(e.stdout, line)
	}
}
