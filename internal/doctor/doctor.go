// Package doctor finds out what keeps a gateway from working, from the
// configuration to the cloud, and says it in plain words.
//
// It owns the checks and their order. With a daemon it judges what the daemon
// knows and holds it against what it can see itself; without one it opens the
// serial port and walks the same way as the daemon does, with the same code, up
// to the data connection and name lookup.
//
// It promises that a check tells one thing: fine, a warning, what is wrong with
// what to do about it, or why it could not look. It promises to leave everything
// as it was: it never registers, never logs in, never opens an MQTT connection,
// never opens a port that somebody holds, sends nothing to a module that would
// publish it, and writes no file. It shows no secret, and reads none but through
// package config, which hides it.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"airbridged/client"
	"airbridged/internal/config"
	"airbridged/internal/recovery"
	"airbridged/internal/unit"
)

// Verdict is the outcome of a check.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning" // it works, but somebody should know
	Fail    Verdict = "fail"
	Skipped Verdict = "skipped" // not looked at; Detail says why
)

// The checks, in the order in which they are made. They are stable names for
// programs.
const (
	Configuration = "configuration"
	Daemon        = "daemon"
	Socket        = "socket"
	SerialPort    = string(recovery.AtPort)
	Module        = string(recovery.AtModule)
	SIM           = string(recovery.AtSIM)
	Signal        = "signal"
	Network       = string(recovery.AtNetwork)
	Bearer        = string(recovery.AtBearer)
	Names         = "name lookup"
	Identity      = string(recovery.AtIdentity)
	Login         = string(recovery.AtLogin)
	MQTT          = string(recovery.AtMQTT)
	Queue         = "queue"
	Warnings      = "warnings" // one finding for each of the daemon's that no other check is about
	Disk          = "disk"
	Clock         = "clock"
	ResetLine     = "reset line" // only where the configuration names one
)

// Finding is what one check says.
type Finding struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Detail  string  `json:"detail"` // what was found, or why it was not looked at
	Advice  string  `json:"advice"` // what to do; empty where there is nothing to do
}

// Report is the whole of an examination.
type Report struct {
	Mode     string    `json:"mode"` // "daemon": it was asked; "alone": there is none
	OK       bool      `json:"ok"`   // no check failed
	Findings []Finding `json:"findings"`
	First    string    `json:"first"` // the check to begin with; empty: there is nothing to do
}

// first is the check to begin with: what fails, in the order in which one thing needs the
// other, and else the first warning.
func (r Report) first() string {
	for _, verdict := range []Verdict{Fail, Warning} {
		for _, f := range r.Findings {
			if f.Verdict == verdict && f.Advice != "" && !strings.HasPrefix(f.Advice, "nothing to do") {
				return f.Check
			}
		}
	}
	return ""
}

// About is what was found at a check; the zero Finding where it was not made.
func (r Report) About(check string) Finding {
	for _, f := range r.Findings {
		if f.Check == check {
			return f
		}
	}
	return Finding{}
}

// The modes of a report.
const (
	WithDaemon = "daemon"
	Alone      = "alone"
)

// Options say whom to examine. All of them but Config and Tell have a useful
// zero value.
type Options struct {
	Config string // path of the configuration
	Socket string // the daemon's; "": $AIRBRIDGE_SOCKET, what the configuration says, or the usual one
	// Tell is told of each finding as it is made, for an examination alone may
	// take a minute or two; nil: nobody is.
	Tell func(Finding)

	now  func() time.Time                                             // nil: time.Now
	root string                                                       // before /proc, /sys and /run; "" on a real system
	unit func(ctx context.Context, config string) (*unit.Unit, error) // nil: unit.Of
}

// Examine makes all the checks. It ends early when ctx does, with the error.
func Examine(ctx context.Context, o Options) (Report, error) {
	if o.now == nil {
		o.now = time.Now
	}
	if o.unit == nil {
		o.unit = unit.Of
	}
	x := &examination{Options: o, ended: ctx.Err, report: Report{OK: true, Findings: []Finding{}}}
	x.service, _ = o.unit(ctx, o.Config) // nil: none that is known runs it
	loaded := x.load(false)
	c := client.New(x.socketPath())
	defer c.Close()
	there := x.ask(ctx, c) || errors.Is(x.asked, client.ErrNotPermitted)
	if there { // and has read a configuration, with a secret
		loaded = x.load(true)
	}
	x.configuration(loaded, there)
	if x.daemon(ctx, c) {
		x.report.Mode = WithDaemon
		x.withDaemon(ctx, c)
	} else {
		x.report.Mode = Alone
		x.alone(ctx)
	}
	x.resetLine()
	x.disk()
	x.clock()
	x.report.First = x.report.first()
	return x.report, context.Cause(ctx)
}

// examination is one run of the checks, and what they found for each other.
type examination struct {
	Options
	ended  func() error // of its context
	report Report

	service *unit.Unit // that runs the daemon; nil: none is known
	asked   error      // of the first question to the daemon
	cfg     config.Config
	known   bool // cfg is what the daemon has
	barred  bool // the daemon may run, but does not answer this user
	status  client.Status
	from    string // the state that failed last, as far as the daemon remembers
	imei    string
	ahead   time.Duration // the network's time before the clock here; 0 where it is not known, too
	stopped string        // the check that failed and that all behind it need
}

// add takes a finding, but for one that was made because nobody waits any more.
func (x *examination) add(f Finding) {
	if x.ended() != nil {
		return
	}
	if f.Verdict == Fail {
		x.report.OK = false
	}
	x.report.Findings = append(x.report.Findings, f)
	if x.Tell != nil {
		x.Tell(f)
	}
}

func (x *examination) ok(check, format string, args ...any) {
	x.add(Finding{check, OK, fmt.Sprintf(format, args...), ""})
}

func (x *examination) warn(check, advice, format string, args ...any) {
	x.add(Finding{check, Warning, fmt.Sprintf(format, args...), advice})
}

func (x *examination) fail(check, advice, format string, args ...any) {
	x.add(Finding{check, Fail, fmt.Sprintf(format, args...), advice})
}

func (x *examination) skip(check, format string, args ...any) {
	x.add(Finding{check, Skipped, "because " + fmt.Sprintf(format, args...), ""})
}

// stop is fail for a check without which those behind it cannot be made.
func (x *examination) stop(check, advice, format string, args ...any) {
	x.fail(check, advice, format, args...)
	x.stopped = check
}

// needless skips checks that make no sense behind one that failed.
func (x *examination) needless(checks ...string) {
	for _, check := range checks {
		x.skip(check, "of the %s above", x.stopped)
	}
}
