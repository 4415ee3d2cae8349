package ipc

import (
	"context"
	"math"
	"net/http"

	"airbridged/client/api"
	"airbridged/internal/access"
	"airbridged/internal/bus"
)

// tracePage bounds how much traffic is copied out of the recorder at once, so
// that the session never waits long to add to it.
const tracePage = 256

// trace shows the flight recorder: what it holds, and with follow=1 what comes.
func (s *serving) trace(w http.ResponseWriter, r *http.Request, q query) error {
	follow, err := q.flag("follow")
	if err != nil {
		return err
	}
	if s.o.Flight == nil {
		return noSuchRoute.problem("this daemon records no traffic", existing())
	}
	if r.Method == http.MethodHead {
		newLineWriter(w, r)
		return nil
	}
	tape := &tape{flight: s.o.Flight}
	if !follow {
		return writeTape(w, tape)
	}
	return s.stream(w, r, seeing(access.Trace), nil, tape.next)
}

// writeTape writes all that is recorded by now.
func writeTape(w http.ResponseWriter, t *tape) error {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	for last := t.flight.Last(); t.seq < last; {
		l, ok := t.pop()
		if !ok {
			break
		}
		text, err := encode(l.body)
		if err == nil {
			_, err = w.Write(text)
		}
		if err != nil {
			break // the client is gone
		}
	}
	return nil
}

// tape is one reader's place in the recorder.
type tape struct {
	flight *bus.Flight
	page   []bus.Traffic
	seq    uint64          // of what was handed out last
	gap    uint64          // overwritten before this reader came to it
	more   <-chan struct{} // closed when there is something behind the page
}

// next waits for the next piece of traffic.
func (t *tape) next(ctx context.Context) (streamLine, error) {
	for {
		if l, ok := t.pop(); ok {
			return l, nil
		}
		select {
		case <-t.more:
		case <-ctx.Done():
			return streamLine{}, context.Cause(ctx)
		}
	}
}

// pop returns the next piece of traffic if there is one.
func (t *tape) pop() (streamLine, bool) {
	if len(t.page) == 0 {
		beginning := t.seq == 0
		t.page, t.gap, t.more = t.flight.After(t.seq, tracePage)
		if beginning {
			t.gap = 0 // a recorder holds the last traffic, not all
		}
	}
	if len(t.page) == 0 {
		return streamLine{}, false
	}
	if t.gap > 0 {
		l := gapOf(int(min(t.gap, math.MaxInt)))
		t.gap = 0
		return l, true
	}
	first := t.page[0]
	t.page, t.seq = t.page[1:], first.Seq
	return streamLine{api.TrafficLine, first.Line()}, true
}
