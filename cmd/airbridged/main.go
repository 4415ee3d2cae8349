// Airbridged owns the serial port of an Air cellular module, keeps it in an MQTT
// session with Aliyun IoT, and bridges it to local programs over a Unix socket.
//
// This package is wiring only: flags, configuration, signals, and which part is
// handed to which. What the parts do is said in their own packages.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"airbridged/internal/config"
	"airbridged/internal/host"
	"airbridged/internal/plain"
)

// Set by the linker: -X main.version=… -X main.commit=….
var (
	version = "0.0.0-unversioned"
	commit  = "unknown"
)

// Exit codes, as programs and unit files know them (sysexits.h for 78).
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitConfig = 78
)

const defaultConfig = "/etc/airbridged/airbridged.toml"

const usage = `Usage: airbridged [--config FILE]
       airbridged --check-config [--dump] [--config FILE]
       airbridged --version

Owns the serial port of an Air cellular module, keeps it in an MQTT session with
Aliyun IoT, and gives local programs a Unix socket. Runs in the foreground and
logs to stderr.

  --config FILE    configuration (default ` + defaultConfig + `);
                   FILE.d/*.toml is read after it, in name order
  --check-config   print every mistake with file, line and what to do, then exit
  --dump           with --check-config: print the effective configuration,
                   secrets masked
  --version        print version, commit and Go version

Signals: TERM and INT stop in good order; HUP reads the configuration again, which
"airbridgectl reload" does too, and waits for it.
Exit codes: 0 asked to stop, 2 usage, 78 configuration, 1 anything else.

Examples:
  airbridged --check-config --config ./airbridged.toml
  airbridged --config ./airbridged.toml
`

func main() { os.Exit(command(os.Args[1:], os.Stdout, os.Stderr)) }

// command does what the command line says, and returns the exit status.
func command(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("airbridged", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	path := flags.String("config", defaultConfig, "")
	check := flags.Bool("check-config", false, "")
	dump := flags.Bool("dump", false, "")
	showVersion := flags.Bool("version", false, "")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return printed(stderr, stdout, usage)
	case err != nil:
		return misused(stderr, err)
	case flags.NArg() > 0:
		return misused(stderr, fmt.Errorf("unexpected argument %q", flags.Arg(0)))
	case *dump && !*check:
		return misused(stderr, errors.New("--dump goes with --check-config"))
	case *showVersion:
		return printed(stderr, stdout, fmt.Sprintf("airbridged %s (commit %s, %s)\n", version, commit, runtime.Version()))
	case *check:
		return checkConfig(*path, *dump, stdout, stderr)
	}
	return run(*path, stderr)
}

// checkConfig prints the mistakes of a configuration, or what is in effect. The exit
// status is about the configuration; only a dump is worth nothing when it cannot be
// written.
func checkConfig(path string, dump bool, stdout, stderr io.Writer) int {
	cfg, warnings, err := config.LoadFor(path, service(path, true))
	if err != nil {
		host.Complain(stderr, err.Error())
		return exitConfig
	}
	for _, w := range warnings {
		fmt.Fprintf(stderr, "warning: %s\n", plain.Text(w.String()))
	}
	if dump {
		return printed(stderr, stdout, cfg.Dump())
	}
	fmt.Fprintf(stdout, "%s: no mistakes\n", plain.Text(path))
	return exitOK
}

// printed prints what was asked for, and fails where that cannot be written.
func printed(stderr, stdout io.Writer, text string) int {
	if _, err := io.WriteString(stdout, text); err != nil {
		fmt.Fprintf(stderr, "airbridged: the output cannot be written: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// run runs the daemon until it is asked to stop. Whatever becomes of its log, the
// service goes on.
func run(path string, stderr io.Writer) int {
	sink := host.NewSink(stderr)
	defer sink.Close()
	cfg, places, warnings, err := config.LoadPlaced(path, service(path, false))
	if err != nil {
		host.Complain(sink, err.Error())
		if wrong, ok := errors.AsType[*config.Mistakes](err); ok && wrong.Passing {
			return exitFailed // for the service manager to try again
		}
		host.AnswerKnocks(misconfigured(err))
		return exitConfig
	}

	// A second signal while leaving ends the process at once: stop puts the
	// default action back as soon as the first one came.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop)
	defer stop()
	if err := serve(ctx, path, cfg, places, warnings, sink); err != nil {
		host.Complain(sink, "airbridged: "+err.Error()+cure(cfg, err))
		return exitFailed
	}
	return exitOK
}

func misused(stderr io.Writer, err error) int {
	fmt.Fprintf(stderr, "airbridged: %v\n\n%s", err, usage)
	return exitUsage
}
