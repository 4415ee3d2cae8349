package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
)

var configCommand = command{
	name:    "config",
	summary: "the configuration in effect, and where it stands",
	help: `Prints the files that the daemon has read, and every key that one of them sets,
with its value and where it stands; with --all those that have their default,
too. Secrets are never shown, only the files that hold them. A key that was
changed since the daemon started and needs a restart is named.

flags:
  --all   also what has its default

examples:
  airbridgectl config
  airbridgectl config --all | grep keepalive
  airbridgectl config --json | jq -r '.settings[].key'
`,
	setup: func(fs *flag.FlagSet) func(*env, []string) error {
		var all bool
		fs.BoolVar(&all, "all", false, "")
		return func(e *env, args []string) error {
			if len(args) > 0 {
				return usageError{"config takes no arguments"}
			}
			return showConfig(e, all)
		}
	},
}

func showConfig(e *env, all bool) error {
	ctx, cancel := context.WithTimeout(e.ctx, askTime)
	defer cancel()
	c, err := e.client.Config(ctx)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(c)
	}
	for _, file := range c.Files {
		fmt.Fprintf(e.stdout, "# %s\n", printable(file))
	}
	for _, s := range c.Settings {
		if s.File == "" && !all {
			continue
		}
		from := "default"
		if s.File != "" {
			from = fmt.Sprintf("%s:%d", s.File, s.Line)
		}
		line := fmt.Sprintf("%s = %s", s.Key, s.Value)
		fmt.Fprintf(e.stdout, "%-50s # %s\n", printable(line), printable(from))
	}
	if len(c.NeedsRestart) > 0 {
		slices.Sort(c.NeedsRestart)
		e.note("changed in the files, and in effect after a restart: %s", printable(strings.Join(c.NeedsRestart, ", ")))
	}
	return nil
}
