package doctor

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"airbridged/client"
	"airbridged/internal/recovery"
	"airbridged/internal/tty"
)

// reached is the stage that a state works at: those before it are behind it.
var reached = map[recovery.State]recovery.Stage{
	recovery.Probing:        recovery.AtPort,
	recovery.Attaching:      recovery.AtSIM,
	recovery.Registering:    recovery.AtIdentity,
	recovery.Authenticating: recovery.AtLogin,
	recovery.Connecting:     recovery.AtMQTT,
}

// withDaemon judges what the daemon knows.
func (x *examination) withDaemon(ctx context.Context, c *client.Client) {
	x.from = lastFailed(ctx, c)
	failed := recovery.Cause(x.status.Cause).Stage(recovery.State(x.from))
	at := failed
	if at == "" {
		at = reached[recovery.State(x.status.State)]
	}
	stages := recovery.Stages()
	far := len(stages) // online: all of them are behind it
	if i := slices.Index(stages, at); i >= 0 && x.status.State != string(recovery.Online) {
		far = i
	}
	if x.status.State == string(recovery.Stopping) {
		far = 0
	}
	var asked map[string]Finding
	if far > slices.Index(stages, recovery.AtModule) {
		asked = x.direct(ctx, c)
	}
	for i, stage := range stages {
		stage := string(stage)
		if stage == Network {
			x.signalOfDaemon(asked)
		}
		now, isAsked := asked[stage]
		switch {
		case i < far && isAsked:
			x.add(x.carries(now))
		case i < far && stage == SerialPort:
			x.portOfDaemon()
		case i < far:
			x.ok(stage, "%s", x.knownOf(stage))
		case i == far && failed != "":
			x.failedStage(stage, now, isAsked)
		case i == far:
			x.warn(stage, "wait a minute, and ask again", "the daemon is at it (%s) since %s", x.status.State, span(x.now().Sub(x.status.Since)))
			x.stopped = stage
		default:
			x.needless(stage)
		}
		if stage == Bearer {
			x.namesOfDaemon(i < far)
		}
	}
	x.queueOfDaemon()
	x.lasting()
}

// lasting tells the daemon's warnings that no other check is about.
func (x *examination) lasting() {
	for _, w := range x.status.Warnings {
		if !(x.known && x.cfg.Modem.ResetGPIO != "" && w.Code == resetLineWarning) && !strings.HasPrefix(w.Code, stores) {
			x.warn(Warnings, w.Hint, "%s: %s", w.Code, w.Detail)
		}
	}
}

// failedStage tells of the check that the daemon's cause is about. What the module says
// now counts more than what the daemon found at its last attempt.
func (x *examination) failedStage(stage string, now Finding, isAsked bool) {
	words := x.status.Cause + x.whereSeen(stage)
	if isAsked {
		words += "; asked now: " + now.Detail
	}
	if !isAsked || now.Verdict != OK {
		x.stop(stage, x.status.Hint, "%s", words)
		return
	}
	if next := x.status.NextAttemptAt; next != nil {
		words += "; the daemon tries again in " + span(next.Sub(x.now()))
	}
	x.warn(stage, "airbridgectl reconnect has the daemon try at once", "%s", words)
	x.stopped = stage
}

// carries is what was found out about the signal or the network of a session: nothing
// that it works without is a failure.
func (x *examination) carries(f Finding) Finding {
	if x.status.State != string(recovery.Online) || f.Verdict != Fail || f.Check != Signal && f.Check != Network {
		return f
	}
	f.Verdict, f.Detail = Warning, f.Detail+"; but the daemon is online over it"
	return f
}

// lastFailed is the state that led to the present one, where that is the last
// failure.
func lastFailed(ctx context.Context, c *client.Client) string {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	events, err := c.Events(ctx)
	if err != nil {
		return ""
	}
	defer func() { _ = events.Close() }()
	e, err := events.Next() // the present state
	if err != nil {
		return ""
	}
	return e.From
}

// knownOf is what there is to say of a stage that works.
func (x *examination) knownOf(stage string) string {
	s, m := x.status, x.status.Modem
	switch stage {
	case Module:
		return text(m.Firmware) + " answers"
	case SIM:
		return "ready, number " + text(m.ICCID)
	case Network:
		return "registered with " + text(m.Operator)
	case Bearer:
		return "open"
	case Identity:
		return fmt.Sprintf("device %s of product %s has its secret", text(s.Identity.DeviceName), s.Identity.ProductKey)
	case Login:
		switch {
		case s.Cloud.Auth == "direct":
			return "by signature, without a token"
		case s.Cloud.TokenAgeSeconds != nil:
			return "the token is " + TokenWords(time.Duration(*s.Cloud.TokenAgeSeconds)*time.Second)
		}
		return "accepted"
	}
	words := "connected to " + s.Cloud.Host
	if at := s.Counters.LastAckedAt; at != nil {
		words += ", last acknowledgement " + span(x.now().Sub(*at)) + " ago"
	}
	return words
}

func text(s *string) string {
	if s == nil || *s == "" {
		return "unknown"
	}
	return *s
}

// portOfDaemon tells who holds the port, and whether somebody shares its bytes. The
// service's sandbox hides other processes from the daemon, and the kernel shows a user
// only his own: root alone can see it.
func (x *examination) portOfDaemon() {
	if !x.known {
		x.ok(SerialPort, "the daemon has it open")
		return
	}
	device := x.cfg.Modem.Device
	words := portShown(device) + " works"
	if who, _, held := tty.Holder(device); held {
		words = portShown(device) + " is held by " + who
	}
	if other, hint, found := tty.Sharer(device); found {
		x.warn(SerialPort, hint, "%s, and %s has it open too: what the module says is shared between the two, and half of it is lost to each", words, other)
		return
	}
	if os.Geteuid() != 0 {
		words += "; whether another program has it open too, only root can see"
	}
	x.ok(SerialPort, "%s", words)
}

// whereSeen adds what can be seen from here to what the daemon says of its port.
func (x *examination) whereSeen(stage string) string {
	words := ""
	if x.status.Attempt > 1 {
		words = fmt.Sprintf(", the last of %d failures in a row", x.status.Attempt)
	}
	if stage != SerialPort || !x.known {
		return words
	}
	words += ": " + portShown(x.cfg.Modem.Device)
	if who, _, held := tty.Holder(x.cfg.Modem.Device); held {
		words += " is held by " + who
	}
	if usb, _ := x.usb(); usb != "" {
		words += "; " + usb
	}
	return words
}

// signalOfDaemon judges the level that was asked for now, or that the daemon read
// last.
func (x *examination) signalOfDaemon(asked map[string]Finding) {
	now, isAsked := asked[Signal]
	switch {
	case isAsked:
		x.add(x.carries(now))
	case x.stopped != "" && x.stopped != SIM:
		x.needless(Signal)
	case x.status.Modem.SignalDBm == nil && x.status.State != string(recovery.Online):
		x.skip(Signal, "the daemon has not read it yet")
	default:
		x.judgeSignal(x.status.Modem.SignalDBm)
	}
}

// namesOfDaemon: the daemon looks no name up by itself; the module does so when
// it connects.
func (x *examination) namesOfDaemon(bearerUp bool) {
	switch {
	case x.status.State == string(recovery.Online):
		x.ok(Names, "%s was found", x.status.Cloud.Host)
	case !bearerUp:
		x.needless(Names)
	default:
		x.skip(Names, "a running daemon keeps its module; to look all the same: airbridgectl doctor --take-port")
	}
}

// late is how old the oldest message may be while the daemon is online.
const late = 10 * time.Minute

func (x *examination) queueOfDaemon() {
	o := x.status.Outbox
	words := fmt.Sprintf("%d messages wait", o.Messages)
	if o.OldestAt != nil {
		words += ", the oldest for " + span(x.now().Sub(*o.OldestAt))
	}
	switch {
	case x.known && (o.Messages >= x.cfg.Outbox.MaxMessages || o.Bytes >= x.cfg.Outbox.MaxBytes):
		x.fail(Queue, "it drains once the daemon is online; give up what is not worth sending (airbridgectl outbox drop), or raise outbox.max_bytes and outbox.max_messages",
			"it is full, and programs are refused: %s", words)
	case x.status.Data.Holding:
		x.warn(Queue, "raise the budget, or wait for the next month; airbridgectl data tells what used it up", "%s: the data budget of this month is used up", words)
	case x.status.State == string(recovery.Online) && o.OldestAt != nil && x.now().Sub(*o.OldestAt) > late:
		x.warn(Queue, "airbridgectl outbox --watch shows whether it drains; a signal that is weak or a cloud that throttles slows it down", "the daemon is online, but %s", words)
	default:
		x.quarantine(words)
	}
}

// tokenLife is how long the cloud honours a token (Aliyun); the daemon gets the next one
// before.
const tokenLife = 7 * 24 * time.Hour

// TokenWords says of a token's age what it means.
func TokenWords(age time.Duration) string {
	left := tokenLife - age
	if left <= 0 {
		return "no longer valid; the daemon gets the next one when it needs it"
	}
	return "valid, " + span(left) + " left"
}

// span is a duration for people, as in "3 h 12 min".
func span(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours())/24)
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d s", int(d.Seconds()))
}
