package ipc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"airbridged/client/api"
	"airbridged/internal/access"
	"airbridged/internal/bus"
	"airbridged/internal/downlink"
)

// streamLine is one object of a stream. The type is told apart for server-sent
// events, whose event name it is.
type streamLine struct {
	kind string
	body any
}

// gapOf says how much a reader missed.
func gapOf(n int) streamLine { return streamLine{api.GapLine, api.Gap{Type: api.GapLine, Dropped: n}} }

func endOf(reason string) streamLine {
	return streamLine{api.EndLine, api.End{Type: api.EndLine, Reason: reason}}
}

// stream writes first and then what next returns, with heartbeats between, until
// the client leaves or takes nothing, its connection has to make room, or the
// daemon stops. next waits until its
// context ends; what it still has is handed out after that.
//
// It ends, and says so, when the access rules change so that may forbids it; what is left
// then is not handed out.
func (s *serving) stream(w http.ResponseWriter, r *http.Request, may func(access.Rights) error, first []streamLine, next func(context.Context) (streamLine, error)) error {
	out := newLineWriter(w, r)
	w.WriteHeader(http.StatusOK)
	s.streams.Add(1)
	defer s.streams.Add(-1)
	for _, l := range first {
		if err := out.write(l); err != nil {
			s.brokeOff(r, err)
			return nil
		}
	}
	// From here on a read only serves to see the client leave.
	_ = out.rc.SetReadDeadline(time.Time{})
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	var forbidden atomic.Pointer[string]
	defer s.whileAllowed(r, may, func(why error) {
		text := why.Error()
		forbidden.Store(&text)
		cancel()
	})()
	err := pump(ctx, out, func(ctx context.Context) (streamLine, error) {
		if forbidden.Load() != nil {
			return streamLine{}, errDenied
		}
		return next(ctx)
	})
	if why := forbidden.Load(); why != nil {
		_ = out.write(streamLine{api.EndLine, api.End{Type: api.EndLine, Reason: api.EndDenied, Detail: *why}})
		return nil
	}
	switch {
	case errors.Is(err, bus.ErrCrowdedOut):
		_ = out.write(endOf(api.EndCrowded))
		return nil
	case errors.Is(err, downlink.ErrTakenOver):
		_ = out.write(endOf(api.EndTakenOver))
		return nil
	case errors.Is(err, downlink.ErrDropped):
		_ = out.write(endOf(api.EndDropped))
		return nil
	case err != nil:
		s.brokeOff(r, err)
		return nil
	}
	switch {
	case s.stopping.Err() != nil:
		_ = out.write(endOf(api.EndStopping))
	case crowdedOut(r.Context()):
		_ = out.write(endOf(api.EndCrowded))
	}
	return nil
}

// pump writes lines until ctx ends and next has no more. A heartbeat is due
// every beatTime, also between many lines.
func pump(ctx context.Context, out *lineWriter, next func(context.Context) (streamLine, error)) error {
	for {
		due := time.Now().Add(beatTime)
		beat, cancel := context.WithDeadline(ctx, due)
		more, err := pumpUntil(beat, due, out, next)
		cancel()
		if err != nil {
			return err
		}
		if !more && ctx.Err() != nil {
			return nil
		}
		if err := out.write(streamLine{api.HeartbeatLine, api.Heartbeat{Type: api.HeartbeatLine, At: time.Now().UTC()}}); err != nil {
			return err
		}
	}
}

// pumpUntil writes lines until the heartbeat is due (more: there may be some
// left), or until ctx has ended and none is left.
func pumpUntil(ctx context.Context, due time.Time, out *lineWriter, next func(context.Context) (streamLine, error)) (more bool, err error) {
	for time.Now().Before(due) {
		l, err := next(ctx)
		switch {
		case err == nil:
			err = out.write(l)
		case ctx.Err() != nil:
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// brokeOff logs why a stream ended early, and counts a reader that was stuck.
func (s *serving) brokeOff(r *http.Request, err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.dropped.Add(1)
		s.o.Log.Warn("stream cut off: its reader took nothing", zap.String("route", routeOf(r)),
			zap.Duration("for", lineTime), zap.Uint32("uid", clientOf(r.Context()).peer.UID), zap.Int32("pid", clientOf(r.Context()).peer.PID))
		return
	}
	s.o.Log.Debug("stream broke off", zap.String("route", routeOf(r)), zap.Error(err))
}

// lineWriter writes one stream. Each line is flushed by itself and has its own
// deadline, so that a reader that is stuck costs no more than its own goroutine,
// and that not for ever.
type lineWriter struct {
	w   http.ResponseWriter
	rc  *http.ResponseController
	sse bool
	buf bytes.Buffer
}

// newLineWriter chooses the form that the client asked for.
func newLineWriter(w http.ResponseWriter, r *http.Request) *lineWriter {
	out := &lineWriter{w: w, rc: http.NewResponseController(w)}
	contentType := "application/x-ndjson"
	for _, accept := range r.Header.Values("Accept") {
		if strings.Contains(accept, "text/event-stream") {
			out.sse = true
			contentType = "text/event-stream"
		}
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("Connection", "close") // nothing follows a stream
	return out
}

func (o *lineWriter) write(l streamLine) error {
	o.buf.Reset()
	if o.sse {
		fmt.Fprintf(&o.buf, "event: %s\ndata: ", l.kind)
	}
	text, err := encode(l.body) // ends with a line feed
	if err != nil {
		return err
	}
	o.buf.Write(text)
	if o.sse {
		o.buf.WriteByte('\n')
	}
	if err := o.rc.SetWriteDeadline(time.Now().Add(lineTime)); err != nil {
		return err
	}
	if _, err := o.w.Write(o.buf.Bytes()); err != nil {
		return err
	}
	return o.rc.Flush()
}
