package main

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
)

// command is one word of the command line.
type command struct {
	name    string // as it is typed; that of a subcommand begins with its command's
	args    string // as shown in the usage
	summary string
	help    string
	setup   func(fs *flag.FlagSet) func(e *env, args []string) error // adds flags; returns the work
	subs    []command                                                // a word behind the name that makes it another command
}

var commands []command

func init() {
	commands = []command{
		statusCommand, pubCommand, subCommand, topicCommand, messageCommand, eventsCommand, outboxCommand, subscriptionsCommand, dataCommand, doctorCommand, traceCommand,
		atCommand, reconnectCommand, rrpcCommand, reprovisionCommand, accessCommand, configCommand, reloadCommand, versionCommand,
	}
}

func find(list []command, name string) (command, bool) {
	for _, c := range list {
		if c.name == name {
			return c, true
		}
	}
	return command{}, false
}

// withSubs is a list with every command's subcommands behind it.
func withSubs(list []command) []command {
	var all []command
	for _, c := range list {
		all = append(append(all, c), c.subs...)
	}
	return all
}

func commandNames() string {
	names := make([]string, len(commands))
	for i, c := range commands {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

const programHelp = `usage: airbridgectl [--socket PATH] [--json] [--color WHEN] COMMAND [ARGUMENTS]

The command line of airbridged. Data goes to stdout, messages to stderr.

commands:
%s
flags of every command, before or after its name:
  --socket PATH   the daemon's socket (default $AIRBRIDGE_SOCKET,
                  then /run/airbridged/airbridged.sock)
  --json          one JSON object per line
  --color WHEN    auto (on a terminal, unless $NO_COLOR is set), always, never
  --help          help of the program or of a command

examples:
  airbridgectl status
  airbridgectl pub /a1b2c3/gw-1/update '{"temperature":21.5}'
  airbridgectl sub /a1b2c3/gw-1/get

airbridgectl help COMMAND explains a command.

exit status: 0 done, 1 refused, 3 kept but not acknowledged yet (do not send it
again), 64 wrong usage, 69 daemon not reachable, 75 try again later, 77 not
permitted, 78 mistakes in the daemon's configuration, 130 interrupted
`

// help explains the program or one command.
func help(e *env, args []string) error {
	if len(args) == 0 {
		var list strings.Builder
		for _, c := range withSubs(commands) {
			fmt.Fprintf(&list, "  %-26s %s\n", strings.TrimSpace(c.name+" "+c.args), c.summary)
		}
		_, err := fmt.Fprintf(e.stdout, programHelp, list.String())
		return err
	}
	c, ok := find(commands, args[0])
	if !ok {
		return noCommand(args[0])
	}
	if len(args) > 1 {
		if sub, ok := find(c.subs, c.name+" "+args[1]); ok {
			c = sub
		}
	}
	_, err := fmt.Fprintf(e.stdout, "usage: airbridgectl %s\n\n%s", strings.TrimSpace(c.name+" [FLAGS] "+c.args), c.help)
	return err
}

// Set by the linker: -X main.version=… -X main.commit=….
var (
	version = "0.0.0-unversioned"
	commit  = "unknown"
)

var versionCommand = command{
	name:    "version",
	summary: "print the version of this program",
	help: `Prints the version, the commit and the Go version that built this program. The
daemon's own version is in airbridgectl status.

examples:
  airbridgectl version
  airbridgectl version --json
`,
	setup: func(*flag.FlagSet) func(*env, []string) error { return printVersion },
}

func printVersion(e *env, args []string) error {
	if len(args) > 0 {
		return usageError{"version takes no arguments"}
	}
	if e.json {
		return e.printJSON(map[string]string{"version": version, "commit": commit, "go": runtime.Version()})
	}
	_, err := fmt.Fprintf(e.stdout, "airbridgectl %s (commit %s, %s)\n", version, commit, runtime.Version())
	return err
}
