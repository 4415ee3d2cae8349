package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"airbridged/client"
	"airbridged/internal/doctor"
)

// askTime bounds a question to the daemon: it answers from memory.
const askTime = 10 * time.Second

var statusCommand = command{
	name:    "status",
	summary: "how the daemon, the module and the queue are",
	help: `Shows what the daemon is doing, since when, why, and what to do about it; then
device, module, network, cloud and queue. What is not known is shown as
"unknown", with --json as null. The exit status is 0 whenever the daemon
answered, whatever it said, and 69 when it did not.

flags:
  --check   exit 1 unless the state is online, for scripts
  --watch   keep showing it, until q or Ctrl-C: on a terminal one page that is
            brought up to date as things change, through a restart of the
            daemon too; else, and with --json, a line for each change

examples:
  airbridgectl status
  airbridgectl status --watch
  airbridgectl status --check >/dev/null || echo "not online"
  airbridgectl status --json | jq -r .state
`,
	setup: func(fs *flag.FlagSet) func(*env, []string) error {
		var check, watching bool
		fs.BoolVar(&check, "check", false, "")
		fs.BoolVar(&watching, "watch", false, "")
		return func(e *env, args []string) error {
			switch {
			case len(args) > 0:
				return usageError{"status takes no arguments"}
			case check && watching:
				return usageError{"--check looks once, so --watch does not go with it"}
			case watching:
				return watchStatus(e)
			}
			return showStatus(e, check)
		}
	},
}

// errNotOnline is how --check shows in the exit status. The page has told why.
var errNotOnline = errors.New("not online")

func showStatus(e *env, check bool) error {
	e.tellWoken(e.ctx)
	raw, s, err := askStatus(e.ctx, e.client)
	if err != nil {
		return err
	}
	if e.json {
		_, err = fmt.Fprintf(e.stdout, "%s\n", raw)
	} else {
		_, err = io.WriteString(e.stdout, strings.Join(e.statusPage(s, time.Now(), e.width()), "\n")+"\n")
	}
	if err == nil && check && s.State != "online" {
		err = told{errNotOnline}
	}
	return err
}

// askStatus asks once; raw is the daemon's own words, also those that this
// program does not know.
func askStatus(ctx context.Context, c *client.Client) (raw json.RawMessage, s client.Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if raw, err = c.StatusJSON(ctx); err != nil {
		return nil, s, err
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, s, fmt.Errorf("answer of airbridged: %w", err)
	}
	return raw, s, nil
}

// row is a line of the page: a name, and what there is to say, of which the
// first part may stand out.
type row struct {
	name  string
	style style
	lead  string
	rest  string
}

// nameWidth is the column of the values.
const nameWidth = 11

// statusPage is the whole page, in lines of at most width columns.
func (e *env) statusPage(s client.Status, now time.Time, width int) []string {
	var page []string
	for _, r := range statusRows(s, now) {
		page = append(page, e.lines(r, width)...)
	}
	return page
}

// lines lays out a row: long values go on below their beginning.
func (e *env) lines(r row, width int) []string {
	lines := wrap(r.lead+r.rest, width-nameWidth)
	for i, line := range lines {
		name := ""
		if i == 0 {
			name = r.name
			if after, whole := strings.CutPrefix(line, r.lead); whole {
				line = e.styled(r.style, r.lead) + after
			}
		}
		lines[i] = fmt.Sprintf("%-*s%s", nameWidth, name, line)
	}
	return lines
}

// stateWords says what the daemon does in each state.
var stateWords = map[string]string{
	"probing":        "looking for the module on the serial port",
	"attaching":      "bringing up SIM, network and data connection",
	"registering":    "fetching this device's secret from the cloud, once in its life",
	"authenticating": "logging in for a token",
	"connecting":     "opening the connection to the cloud (MQTT)",
	"online":         "messages go up and come down",
	"recovering":     "something failed; a new try comes by itself",
	"stopping":       "the daemon was asked to stop",
}

// statusRows are the rows of the page, most wanted first.
func statusRows(s client.Status, now time.Time) []row {
	state := row{name: "state", style: stateStyle(s.State), lead: orUnknown(s.State)}
	if words := stateWords[s.State]; words != "" {
		state.rest = ": " + words
	}
	rows := []row{state, {name: "since", rest: ago(&s.Since, now)}}
	if s.Cause != "" {
		rows = append(rows, row{name: "why", style: bad, lead: printable(s.Cause)})
	}
	if s.Hint != "" {
		rows = append(rows, row{name: "what to do", rest: printable(s.Hint)})
	}
	if words := triesWords(s, now); words != "" {
		rows = append(rows, row{name: "next try", rest: words})
	}
	for _, w := range s.Warnings {
		rows = append(rows, row{name: "warning", style: bad, lead: printable(w.Code), rest: ": " + printable(w.Detail)})
		if w.Hint != "" {
			rows = append(rows, row{name: "what to do", rest: printable(w.Hint)})
		}
	}
	m := s.Modem
	signal, style := signalWords(m.SignalDBm)
	rows = append(
		rows,
		row{name: "device", rest: text(s.Identity.DeviceName) + " of product " + orUnknown(s.Identity.ProductKey)},
		row{name: "module", rest: fmt.Sprintf("%s, firmware %s, number (IMEI) %s", text(m.Model), text(m.Firmware), text(m.IMEI))},
		row{name: "SIM card", rest: text(m.ICCID)},
		networkRow(m),
		row{name: "signal", style: style, lead: signal},
		row{name: "cloud", rest: cloudWords(s.Cloud)},
		row{name: "queue", rest: queueWords(s.Outbox, now)},
		row{name: "in flight", rest: inFlightWords(s.Outbox.InFlight)},
		row{name: "last ack", rest: lastAckWords(s.Counters.LastAckedAt, now)},
		row{name: "so far", rest: counterWords(s.Counters)},
	)
	if s.Data.Bytes > 0 || s.Data.BudgetBytes != nil {
		rows = append(rows, row{name: "data", rest: dataWords(s.Data)})
	}
	if words := clockWords(m.NetworkTime); words != "" {
		rows = append(rows, row{name: "clock", style: minor, lead: words})
	}
	return append(
		rows,
		row{name: "daemon", rest: fmt.Sprintf("version %s, up %s", orUnknown(s.Version), span(time.Duration(s.UptimeSeconds)*time.Second))},
	)
}

// clockOff is how far the gateway's clock may be off without a word, in seconds.
const clockOff = 60

// clockWords tells of a clock that the network contradicts.
func clockWords(n *client.NetworkTime) string {
	if n == nil || math.Abs(n.OffsetSeconds) <= clockOff {
		return ""
	}
	words := "behind"
	if n.OffsetSeconds < 0 {
		words = "ahead of"
	}
	off := time.Duration(min(math.Abs(n.OffsetSeconds), 9e9) * float64(time.Second))
	return "the gateway's clock is " + span(off) + " " + words + " the network's time"
}

func triesWords(s client.Status, now time.Time) string {
	failures := ""
	if s.Attempt > 0 {
		failures = count(s.Attempt, "failure") + " in a row"
	}
	if s.NextAttemptAt == nil {
		if failures != "" && s.State != "online" {
			return "under way, after " + failures
		}
		return ""
	}
	words := "now"
	if left := s.NextAttemptAt.Sub(now); left >= time.Second {
		words = "in " + span(left) + ", at " + s.NextAttemptAt.Local().Format(time.TimeOnly)
	}
	if failures != "" {
		words += ", after " + failures
	}
	return words
}

func networkRow(m client.Modem) row {
	r := row{name: "network", rest: ", operator " + text(m.Operator)}
	switch {
	case m.Registered == nil:
		r.lead = "not known whether registered"
	case *m.Registered:
		r.style, r.lead = good, "registered"
	default:
		r.style, r.lead = bad, "not registered"
	}
	return r
}

func cloudWords(c client.Cloud) string {
	words := orUnknown(c.Host)
	switch {
	case c.Auth == "direct":
		words += ", login by signature, without a token"
	case c.TokenAgeSeconds != nil:
		words += ", login token " + doctor.TokenWords(time.Duration(*c.TokenAgeSeconds)*time.Second)
	default:
		words += ", no login token yet"
	}
	return words
}

func queueWords(o client.Outbox, now time.Time) string {
	if o.Messages == 0 {
		return "empty"
	}
	words := fmt.Sprintf("%s (%s)", count(o.Messages, "message"), size(o.Bytes))
	if o.OldestAt != nil {
		words += ", the oldest from " + ago(o.OldestAt, now)
	}
	return words
}

func inFlightWords(n int) string {
	if n == 0 {
		return "none"
	}
	return count(n, "message") + ", sent and not acknowledged yet"
}

func lastAckWords(at *time.Time, now time.Time) string {
	if at == nil {
		return "none since the daemon started"
	}
	return ago(at, now)
}

func counterWords(c client.StatusCounters) string {
	words := fmt.Sprintf("%d acknowledged, %d sent without acknowledgement (QoS 0), %d received, %s",
		c.Acked, c.Sent, c.Downlink, count(int(c.Connects), "connection"))
	if c.Unknown > 0 {
		words += fmt.Sprintf(", %d sent again because the outcome was unknown", c.Unknown)
	}
	return words
}
