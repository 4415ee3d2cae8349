package simulation

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"strings"
	"time"
)

// shown is how many lines a failure shows, and remembered how many are kept of a
// day for that: the newest.
const (
	shown      = 160
	remembered = 1 << 10
)

// The sources of a timeline's lines.
const (
	fromFault   = "FAULT" // what was injected, and what came of it
	fromState   = "STATE" // the session's state
	fromHost    = "AT >"  // a command to the module
	fromModule  = "AT <"  // a line of the module
	fromProgram = "APP"   // what a program did, or was told
	fromCloud   = "CLOUD" // what the cloud got or did
	fromDaemon  = "PROC"  // the daemon's own life: start, stop, kill
	fromLog     = "LOG"   // what it logged
	fromReferee = "!!!!!" // a broken promise
)

// timeline is what happened, the newest of it, and a hash over all of it. Within one
// instant of virtual time the order of the lines is the scheduler's, so the hash is
// the sum of those of all lines with their times.
type timeline struct {
	begun time.Time
	lines []entry
	next  int
	hash  uint64
	all   io.Writer // nil, or where all of it goes
}

type entry struct {
	at         time.Time
	from, text string
}

func newTimeline() *timeline { return &timeline{begun: time.Now()} }

func (t *timeline) add(from, text string) {
	e := entry{time.Now(), from, text}
	if len(t.lines) < remembered {
		t.lines = append(t.lines, e)
	} else {
		t.lines[t.next%remembered] = e
	}
	t.next++
	if t.all != nil {
		_, _ = io.WriteString(t.all, t.written(e))
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(e.at.Sub(t.begun)))
	sum := fnv.New64a()
	_, _ = sum.Write(b[:])
	_, _ = sum.Write([]byte(from))
	_, _ = sum.Write([]byte(text))
	t.hash += sum.Sum64()
}

// last shows the newest n lines.
func (t *timeline) last(n int) string {
	var b strings.Builder
	begin := max(0, t.next-min(n, len(t.lines)))
	if begin > 0 {
		fmt.Fprintf(&b, "... %d lines before\n", begin)
	}
	for i := begin; i < t.next; i++ {
		b.WriteString(t.written(t.lines[i%remembered]))
	}
	return b.String()
}

func (t *timeline) written(e entry) string {
	text := strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(e.text)
	if len(text) > 200 {
		text = text[:197] + "..."
	}
	return fmt.Sprintf("%s %-5s %s\n", clockOf(e.at.Sub(t.begun)), e.from, text)
}

// clockOf writes the time since the day began: 13:05:59.250.
func clockOf(d time.Duration) string {
	d = d.Round(time.Millisecond)
	return fmt.Sprintf("%02d:%02d:%02d.%03d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60, d.Milliseconds()%1000)
}
