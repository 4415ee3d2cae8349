package session

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/air"
	"airbridged/internal/bus"
	"airbridged/internal/durable"
	"airbridged/internal/recovery"
)

// The flight recorder has the traffic of every port that was open, one after the
// other, and between it what the session made of it. It is dumped to a file
// before each rung that cuts deeper than the MQTT session, because a reset may
// be followed by the daemon's own end.

// traceDirs are the recorder's words for the ways of traffic.
var traceDirs = [...]bus.Dir{air.TraceSent: bus.Sent, air.TraceReceived: bus.Received, air.TraceNote: bus.Noted}

// flight is the recorder with its dumps.
type flight struct {
	recorder *bus.Flight
	dumps    dumps
	log      *zap.Logger
}

func newFlight(o Options) flight {
	return flight{recorder: o.Flight, dumps: dumps{dir: o.State}, log: o.Log}
}

// traffic is called by the modem's reader too, and never waits.
func (f *flight) traffic(dir air.TraceDir, text []byte, size int) {
	f.recorder.Add(traceDirs[dir], text, size)
}

// entered puts a change of state between the traffic.
func (f *flight) entered(from, to recovery.State, c recovery.Cause) {
	text := string(from) + " -> " + string(to)
	if c != recovery.None {
		text += ", cause " + string(c)
	}
	f.recorder.Note(text)
}

// Dumps are in this directory of the state directory. Flash is precious: there
// are at most dumpsKept, and no more than dumpsPerDay are written in a day, one
// in dumpEvery at most. A dump has the last dumpEntries pieces of traffic, which
// is some 75 KiB: no gateway writes more than 1 MiB a day for them.
const (
	dumpDir     = "traces"
	dumpsKept   = 12
	dumpsPerDay = 12
	dumpEvery   = 10 * time.Minute
	dumpEntries = 500
	dumpSuffix  = ".ndjson"
)

// dumps writes the flight recorder to files. Whoever calls it is the session's
// goroutine.
type dumps struct {
	dir    durable.Directory
	seen   bool        // the directory was looked at
	number int         // of the newest file
	times  []time.Time // of the files of the last day
	upTo   uint64      // the newest traffic in the newest file
}

// dumpHead is the first line of a dump.
type dumpHead struct {
	Type  string         `json:"type"`
	At    time.Time      `json:"at"`
	Rung  string         `json:"rung"`
	Cause recovery.Cause `json:"cause"`
}

// dump keeps the traffic that led to a rung, unless there is nothing new to keep,
// or too much was written already. An outage of several attempts is told of once.
func (f *flight) dump(r recovery.Rung, c recovery.Cause, attempts int) {
	if r <= recovery.SessionRung {
		return
	}
	path, err := f.dumps.write(f.recorder, dumpHead{"dump", time.Now().UTC(), r.String(), c})
	switch {
	case err != nil:
		f.log.Warn("the AT traffic could not be kept", zap.Error(err))
	case path != "":
		level := zap.InfoLevel
		if attempts > 1 {
			level = zap.DebugLevel
		}
		f.log.Log(level, "the AT traffic up to here is kept", zap.String("file", path))
	}
}

// write writes one dump and returns its path, or "" if none is due.
func (d *dumps) write(flight *bus.Flight, head dumpHead) (path string, err error) {
	if !d.seen {
		d.recall()
	}
	last := flight.Last()
	if last == d.upTo || !d.due(time.Now()) {
		return "", nil
	}
	// A write that fails is not tried again before its time either.
	d.upTo, d.times = last, append(d.times, time.Now())
	list, _, _ := flight.After(max(last, dumpEntries)-dumpEntries, dumpEntries)
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err = encoder.Encode(head)
	for _, t := range list {
		if err == nil {
			err = encoder.Encode(t.Line())
		}
	}
	if err != nil {
		return "", err
	}
	if err := d.dir.Mkdir(dumpDir); err != nil {
		return "", err
	}
	d.number++
	name := fmt.Sprintf("%s/%06d-%s-%s%s", dumpDir, d.number, head.Rung, head.Cause, dumpSuffix)
	if err := durable.Replace(d.dir, name, text.Bytes()); err != nil {
		return "", err
	}
	d.prune()
	return d.dir.Path(name), nil
}

// due says whether a dump may be written now, and forgets what is over a day old.
// A time to come was left by another clock and says nothing.
func (d *dumps) due(now time.Time) bool {
	d.times = slices.DeleteFunc(d.times, func(t time.Time) bool { return t.After(now) || now.Sub(t) >= 24*time.Hour })
	return len(d.times) < dumpsPerDay && !slices.ContainsFunc(d.times, func(t time.Time) bool { return now.Sub(t) < dumpEvery })
}

// recall takes in what earlier processes have written, so that one that is started
// again and again keeps to the bounds too.
func (d *dumps) recall() {
	d.seen = true
	for _, name := range d.files() {
		n := 0
		if _, err := fmt.Sscanf(name, "%d-", &n); err == nil {
			d.number = max(d.number, n)
		}
		if at, err := d.dir.ModTime(dumpDir + "/" + name); err == nil {
			d.times = append(d.times, at)
		}
	}
}

// files lists the dumps, oldest first; none if the directory cannot be read.
func (d *dumps) files() []string {
	names, _ := d.dir.List(dumpDir)
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, dumpSuffix) })
	slices.Sort(names)
	return names
}

// prune removes the oldest dumps beyond those that are kept.
func (d *dumps) prune() {
	names := d.files()
	for _, name := range names[:max(len(names)-dumpsKept, 0)] {
		_ = d.dir.Remove(dumpDir + "/" + name)
	}
}
