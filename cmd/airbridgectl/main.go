// Airbridgectl is the command line of airbridged for people and scripts. It
// owns nothing: it asks the daemon through package client, writes data to
// stdout and everything else to stderr, and tells by its exit status what kind
// of failure it was.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"airbridged/client"
	"airbridged/internal/outbox"
	plaintext "airbridged/internal/plain"
	"airbridged/internal/typo"
)

// Exit statuses; those from 64 on are sysexits.h's.
const (
	exitOK          = 0
	exitRefused     = 1   // the daemon refused, or a message came to a bad end
	exitKept        = 3   // a message is kept, and not acknowledged yet
	exitUsage       = 64  // the command line is wrong
	exitUnreachable = 69  // the daemon is not there, or went away
	exitTryAgain    = 75  // the daemon refused for now, or nobody knows whether a message is kept
	exitPermission  = 77  // the socket or the topic is not for this user
	exitConfig      = 78  // the daemon's configuration has mistakes
	exitInterrupted = 130 // by SIGINT or SIGTERM
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// usageError is a command line that makes no sense.
type usageError struct{ what string }

func (e usageError) Error() string { return e.what }

// told is an error that a person has been told of already.
type told struct{ error }

func (t told) Unwrap() error { return t.error }

// env is what a command works with.
type env struct {
	ctx     context.Context
	stdin   io.Reader
	stdout  *output
	stderr  io.Writer
	socket  string
	json    bool
	color   colorWhen
	colored bool // what color comes to
	client  *client.Client
}

// note tells a person something that is no data.
func (e *env) note(format string, args ...any) {
	fmt.Fprintln(e.stderr, "airbridgectl: "+plaintext.Lines(fmt.Sprintf(format, args...)))
}

// printJSON writes one object on one line.
func (e *env) printJSON(v any) error { return writeJSON(e.stdout, v) }

// writeJSON writes one object on one line, in which nothing steers a terminal.
func writeJSON(w io.Writer, v any) error {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(plaintext.JSON(line.Bytes()))
	return err
}

// output remembers the first error of stdout, so that a full disk is a failure.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// run is the whole program. args are without the program's name.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	e := &env{ctx: ctx, stdin: stdin, stdout: &output{w: stdout}, stderr: stderr, color: "auto"}
	err := dispatch(e, args)
	if err == nil && e.stdout.err != nil {
		err = fmt.Errorf("standard output: %w", e.stdout.err)
	}
	if ctx.Err() != nil {
		return exitInterrupted
	}
	return report(e, err)
}

// dispatch finds the command and runs it.
func dispatch(e *env, args []string) error {
	var showHelp, showVersion bool
	global := flags("airbridgectl", e)
	global.BoolVar(&showHelp, "help", false, "")
	global.BoolVar(&showHelp, "h", false, "")
	global.BoolVar(&showVersion, "version", false, "")
	if err := global.Parse(args); err != nil {
		return usageError{meant(global, err) + "; flags of a command come after its name"}
	}
	rest := global.Args()
	switch {
	case showVersion:
		rest = []string{"version"}
	case showHelp:
		rest = append([]string{"help"}, rest...)
	case len(rest) == 0:
		return usageError{"no command is given"}
	}
	if rest[0] == "help" {
		return help(e, rest[1:])
	}
	if c, ok := find(commands, rest[0]); ok {
		return c.start(e, rest[1:])
	}
	return noCommand(rest[0])
}

// others are words that other programs have for what a command does.
var others = map[string]string{
	"publish": "pub", "send": "pub", "post": "pub", "subscribe": "sub", "listen": "sub", "receive": "sub",
	"log": "events", "logs": "events", "monitor": "events", "state": "status", "info": "status", "show": "status", "health": "status",
	"queue": "outbox", "messages": "outbox", "list": "outbox", "drop": "outbox drop", "retarget": "outbox retarget", "verify": "outbox verify",
	"check": "doctor", "diagnose": "doctor", "test": "doctor", "usage": "data", "traffic": "data", "register": "reprovision",
	"connect": "reconnect", "retry": "reconnect", "topics": "topic", "configuration": "config", "settings": "config",
}

// noCommand is a command that does not exist, with the one that was meant if
// that can be told.
func noCommand(name string) error {
	names := []string{"help"}
	for _, c := range commands {
		names = append(names, c.name)
	}
	if near := cmp.Or(others[name], typo.Nearest(name, names)); near != "" {
		return usageError{fmt.Sprintf("there is no command %q; did you mean %s?", name, near)}
	}
	return usageError{fmt.Sprintf("there is no command %q; there are %s and help", name, commandNames())}
}

// meant is an error of parsing flags in words, with the flag that was meant if that can
// be told.
func meant(fs *flag.FlagSet, err error) string {
	if _, name, unknown := strings.Cut(err.Error(), "not defined: -"); unknown {
		words := "this flag is not defined: " + dashed(strings.TrimLeft(name, "-"))
		var names []string
		fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		if near := typo.Nearest(strings.TrimLeft(name, "-"), names); near != "" && len(name) > 1 {
			words += "; did you mean " + dashed(near) + "?"
		}
		return words + "; -- goes before an argument that begins with -"
	}
	if _, name, bare := strings.Cut(err.Error(), "flag needs an argument: -"); bare {
		return dashed(name) + " needs a value behind it"
	}
	about := badValue.FindStringSubmatch(err.Error())
	if about == nil {
		return err.Error()
	}
	value, name, why := about[1], about[2], about[3]
	if f := fs.Lookup(name); f != nil {
		if known, ok := f.Value.(flag.Getter); ok {
			switch known.Get().(type) {
			case time.Duration:
				why = "that is no duration: write a number with its unit, as in 90s or 1h"
			case int:
				why = "that is no whole number"
			case bool:
				why = "it takes no value"
			}
		}
	}
	return dashed(name) + " " + value + ": " + why
}

// badValue is how package flag tells of a value, its flag, and what is wrong.
var badValue = regexp.MustCompile(`^invalid (?:boolean )?value (".*") for (?:flag )?-([^:]+): (.*)$`)

// dashed is a flag as it is written in the help.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// start parses a command's own flags and runs it.
func (c command) start(e *env, args []string) error {
	fs := flags(c.name, e)
	work := c.setup(fs)
	if sub, rest, err := c.sub(fs, args); err != nil || sub.name != "" {
		if err != nil {
			return err
		}
		return sub.start(e, rest)
	}
	positional, err := parseAll(fs, args)
	if errors.Is(err, flag.ErrHelp) {
		return help(e, strings.Fields(c.name))
	}
	if err != nil {
		return usageError{fmt.Sprintf("%s: %s; see airbridgectl %s --help", c.name, meant(fs, err), c.name)}
	}
	e.colored = e.color.on(e.stdout)
	e.client = client.New(e.socket)
	defer e.client.Close()
	return work(e, positional)
}

// sub finds the subcommand that the first argument names, if it does. Flags of
// every command may stand before that; those of c alone do not reach it.
func (c command) sub(fs *flag.FlagSet, args []string) (sub command, rest []string, err error) {
	if len(c.subs) == 0 || fs.Parse(args) != nil || fs.NArg() == 0 {
		return command{}, nil, nil // a wrong flag is found again by who parses them all
	}
	sub, ok := find(c.subs, c.name+" "+fs.Arg(0))
	if !ok {
		return command{}, nil, nil
	}
	fs.Visit(func(f *flag.Flag) {
		if !slices.Contains(everywhere, f.Name) {
			err = usageError{fmt.Sprintf("-%s is no flag of %s; see airbridgectl %s --help", f.Name, sub.name, sub.name)}
		}
	})
	return sub, fs.Args()[1:], err
}

// everywhere are the flags of every command.
var everywhere = []string{"socket", "json", "color"}

// flags returns a set with the flags that stand before a command and after it.
func flags(name string, e *env) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	fs.StringVar(&e.socket, "socket", e.socket, "")
	fs.BoolVar(&e.json, "json", e.json, "")
	fs.Var(&e.color, "color", "")
	return fs
}

// parseAll parses flags that may stand between and after the arguments too. All
// that follows -- is an argument.
func parseAll(fs *flag.FlagSet, args []string) (positional []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		rest := fs.Args()
		parsed := args[:len(args)-len(rest)]
		if len(rest) == 0 || len(parsed) > 0 && parsed[len(parsed)-1] == "--" {
			return append(positional, rest...), nil
		}
		positional, args = append(positional, rest[0]), rest[1:]
	}
}

// asCommands has this program's commands for the requests that hints name.
var asCommands = strings.NewReplacer(
	"GET /v1/status", "airbridgectl status",
	"GET /v1/events", "airbridgectl events -f",
	"GET /v1/subscriptions", "airbridgectl subscriptions",
	"GET /v1/messages/{id}", "airbridgectl message ID",
	"DELETE /v1/subscriptions/{name}", "airbridgectl subscriptions drop NAME",
	"DELETE /v1/outbox/{id}", "airbridgectl outbox drop ID",
)

// report tells a person what went wrong, and a script by the exit status.
func report(e *env, err error) int {
	if err == nil {
		return exitOK
	}
	if _, ok := errors.AsType[told](err); ok {
		return status(err)
	}
	if p, ok := errors.AsType[*client.Problem](err); ok {
		if len(p.Mistakes) == 0 {
			e.note("%s: %s", strings.TrimSuffix(p.Title, "."), p.Detail)
		} else {
			e.note("%s:", strings.TrimSuffix(p.Title, "."))
			for _, m := range p.Mistakes {
				fmt.Fprintln(e.stderr, printable(m.String()))
			}
		}
		if p.Hint != "" {
			e.note("hint: %s", asCommands.Replace(p.Hint))
		}
		if p.RetryAfter > 0 {
			e.note("try again in %s", span(p.RetryAfter))
		}
	} else {
		e.note("%v", err)
	}
	if errors.Is(err, client.ErrUnreachable) {
		e.tellUnit()
	}
	if _, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintln(e.stderr, "usage: airbridgectl [--socket PATH] [--json] COMMAND; airbridgectl --help tells more")
	}
	return status(err)
}

// status is the exit status for an error.
func status(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[unknownError](err); ok {
		return exitTryAgain
	}
	for _, s := range []struct {
		when error
		code int
	}{
		{client.ErrNotPermitted, exitPermission},
		{client.ErrDenied, exitPermission},
		{client.ErrConfiguration, exitConfig},
		{client.ErrTryAgain, exitTryAgain},
		{outbox.ErrBusy, exitTryAgain},
		{client.ErrUnreachable, exitUnreachable},
		{client.ErrStopped, exitUnreachable},
		{client.ErrStalled, exitUnreachable},
		{io.EOF, exitUnreachable},
		{io.ErrUnexpectedEOF, exitUnreachable},
		{syscall.ECONNRESET, exitUnreachable},
		{context.DeadlineExceeded, exitUnreachable},
		{errKept, exitKept},
	} {
		if errors.Is(err, s.when) {
			return s.code
		}
	}
	return exitRefused
}
