package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"airbridged/client"
)

// askTime bounds a question to the daemon: it answers from memory.
const askTime = 10 * time.Second

var statusCommand = command{
	name:    "status",
	summary: "how the daemon, the module and the queue are",
	help: `Shows what the daemon is doing, why, and what to do about it. What is not known
is shown as "unknown", with --json as null.

examples:
  airbridgectl status
  airbridgectl status --json | jq -r .state
`,
	setup: func(*flag.FlagSet) func(*env, []string) error { return showStatus },
}

func showStatus(e *env, args []string) error {
	if len(args) > 0 {
		return usageError{"status takes no arguments"}
	}
	ctx, cancel := context.WithTimeout(e.ctx, askTime)
	defer cancel()
	s, err := e.client.Status(ctx)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(s)
	}
	for _, row := range statusRows(s, time.Now()) {
		if _, err := fmt.Fprintf(e.stdout, "%-10s %s\n", row[0], row[1]); err != nil {
			return err
		}
	}
	return nil
}

// statusRows are the lines of the status, most wanted first.
func statusRows(s client.Status, now time.Time) [][2]string {
	var rows [][2]string
	add := func(name, format string, args ...any) {
		rows = append(rows, [2]string{name, fmt.Sprintf(format, args...)})
	}
	add("state", "%s since %s", orUnknown(s.State), when(&s.Since, now))
	if s.Cause != "" {
		add("cause", "%s", printable(s.Cause))
	}
	if s.Hint != "" {
		add("hint", "%s", printable(s.Hint))
	}
	if s.NextAttemptAt != nil {
		add("next try", "number %d at %s", s.Attempt+1, when(s.NextAttemptAt, now))
	}
	add("device", "%s of product %s", text(s.Identity.DeviceName), orUnknown(s.Identity.ProductKey))
	m := s.Modem
	add("modem", "%s, firmware %s, IMEI %s", text(m.Model), text(m.Firmware), text(m.IMEI))
	add("network", "%s, operator %s, SIM %s", registered(m.Registered), text(m.Operator), text(m.ICCID))
	add("signal", "%s", signalWords(m.SignalDBm))
	cloud := orUnknown(s.Cloud.Host) + ", auth " + orUnknown(s.Cloud.Auth)
	if age := s.Cloud.TokenAgeSeconds; age != nil {
		cloud += ", token " + span(time.Duration(*age)*time.Second) + " old"
	}
	add("cloud", "%s", cloud)
	add("queue", "%s", queueWords(s.Outbox, now))
	add("last ack", "%s", when(s.Counters.LastAckedAt, now))
	add("so far", "%d acknowledged, %d sent with QoS 0, %d received, %d sessions, %d sent again",
		s.Counters.Acked, s.Counters.Sent, s.Counters.Downlink, s.Counters.Connects, s.Counters.Unknown)
	add("daemon", "version %s, up %s", orUnknown(s.Version), span(time.Duration(s.UptimeSeconds)*time.Second))
	return rows
}

func queueWords(o client.Outbox, now time.Time) string {
	if o.Messages == 0 {
		return "empty"
	}
	words := fmt.Sprintf("%d messages, %d bytes, %d in flight", o.Messages, o.Bytes, o.InFlight)
	if o.OldestAt != nil {
		words += ", oldest from " + when(o.OldestAt, now)
	}
	return words
}

// signalWords says what a level means. -113 dBm is the least that AT+CSQ can
// tell (3GPP TS 27.007 section 8.5); the words between are field usage for GSM.
func signalWords(dbm *int) string {
	if dbm == nil {
		return "unknown"
	}
	word := "none"
	switch d := *dbm; {
	case d >= -70:
		word = "excellent"
	case d >= -85:
		word = "good"
	case d >= -100:
		word = "fair"
	case d > -113:
		word = "weak"
	}
	return word + " (" + strconv.Itoa(*dbm) + " dBm)"
}

func registered(v *bool) string {
	switch {
	case v == nil:
		return "unknown whether registered"
	case *v:
		return "registered"
	}
	return "not registered"
}

// when is a moment in local time and how far away it is.
func when(t *time.Time, now time.Time) string {
	if t == nil || t.IsZero() {
		return "unknown"
	}
	at := t.Local().Format("2006-01-02 15:04:05")
	if d := now.Sub(*t); d < 0 {
		return at + " (in " + span(-d) + ")"
	}
	return at + " (" + span(now.Sub(*t)) + " ago)"
}

// span is a duration with its two largest units, as in 3h12m.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	days, hours, minutes, seconds := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, hours)
	case hours > 0:
		return fmt.Sprintf("%dh%dm", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%dm%ds", minutes, seconds)
	}
	return fmt.Sprintf("%ds", seconds)
}

func text(s *string) string {
	if s == nil {
		return "unknown"
	}
	return orUnknown(*s)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return printable(s)
}

// printable keeps what came from the module or the cloud from steering the
// terminal.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
