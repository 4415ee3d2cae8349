package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"airbridged/client"
)

// atTime and reprovisionTime bound what the daemon may take, and some more.
const (
	atTime          = 180 * time.Second
	reprovisionTime = 200 * time.Second
)

var atCommand = command{
	name:    "at",
	args:    "COMMAND",
	summary: "give the module one AT command",
	help: `Gives the module one AT command between those of the daemon, and prints what it
answers. Only root and the daemon's own user may do that.

Questions such as AT+CSQ or AT+CPIN? are given as they are. Everything else is
refused, because it could break the session, unless it is forced; then the
session begins anew after it. What takes the line over, such as AT+CIPSEND, is
never given. In a shell, quote the command.

flags:
  --force   give it although it may break the session

exit status: 0 the module answered OK, 1 it answered something else or the
command was refused, 75 there is no module or it is busy, 77 not permitted

examples:
  airbridgectl at AT+CSQ
  airbridgectl at 'AT+COPS?' --json | jq -r '.lines[]'
  airbridgectl at 'AT+CFUN=1,1' --force
`,
	setup: func(fs *flag.FlagSet) func(*env, []string) error {
		var force bool
		fs.BoolVar(&force, "force", false, "")
		return func(e *env, args []string) error {
			if len(args) != 1 {
				return usageError{"at takes one command; quote one with blanks"}
			}
			return giveAT(e, args[0], force)
		}
	},
}

func giveAT(e *env, command string, force bool) error {
	ctx, cancel := context.WithTimeout(e.ctx, atTime)
	defer cancel()
	reply, err := e.client.AT(ctx, command, force)
	if p, ok := errors.AsType[*client.Problem](err); ok { // its hint is for programs
		p.Hint = strings.ReplaceAll(p.Hint, `"force":true`, "--force")
	}
	if err != nil {
		return err
	}
	if e.json {
		err = e.printJSON(reply)
	} else {
		err = printReply(e, reply)
	}
	if err == nil && !reply.OK {
		err = told{errors.New("the module refused the command")}
	}
	return err
}

// printReply shows an answer as a terminal would.
func printReply(e *env, reply client.ATReply) error {
	for _, line := range append(reply.Lines, reply.Final) {
		if _, err := fmt.Fprintln(e.stdout, printable(line)); err != nil {
			return err
		}
	}
	if reply.Anew {
		e.note("the session begins anew; airbridgectl status tells how far it is")
	}
	return nil
}

var reprovisionCommand = command{
	name:    "reprovision",
	args:    "--yes",
	summary: "register the device at the cloud once more",
	help: `Asks the cloud for a new DeviceSecret, stores it, and connects with it. The old
one is kept as the previous generation. This is for a device that was reset in
the cloud's console, or whose secret leaked; the daemon never does it by itself.
Only root may. Without --yes nothing is done.

If the cloud refuses (6289: it gave the secret out before; reset the device in
the console first), the device goes on with the secret it has.

flags:
  --yes   do it

exit status: 0 done, 1 refused, 75 under way or no module, 77 not permitted

examples:
  airbridgectl reprovision --yes
`,
	setup: func(fs *flag.FlagSet) func(*env, []string) error {
		var yes bool
		fs.BoolVar(&yes, "yes", false, "")
		return func(e *env, args []string) error {
			switch {
			case len(args) > 0:
				return usageError{"reprovision takes no arguments"}
			case !yes:
				return usageError{"reprovision asks the cloud for a new secret; add --yes to do that"}
			}
			return reprovision(e)
		}
	},
}

func reprovision(e *env) error {
	ctx, cancel := context.WithTimeout(e.ctx, reprovisionTime)
	defer cancel()
	done, err := e.client.Reprovision(ctx)
	if err != nil {
		return err
	}
	state := "registered"
	if !done {
		state = "registering"
	}
	if e.json {
		err = e.printJSON(map[string]string{"state": state})
	} else {
		_, err = fmt.Fprintln(e.stdout, state)
	}
	if err == nil && !done {
		e.note("it takes longer; airbridgectl events tells what becomes of it")
		err = told{client.ErrTryAgain}
	}
	return err
}
