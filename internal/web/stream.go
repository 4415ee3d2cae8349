package web

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// frameTime is how long a page may take to take a frame in.
const frameTime = 10 * time.Second

// Stream tells a page what is new, as server-sent events: what next returns, at once
// and then as often, each as an event "frame" in JSON, and an event "end" when ctx has
// ended. A page that takes nothing for 10 s is an error. The deadlines of w are its own
// from here on.
func Stream(ctx context.Context, w http.ResponseWriter, every time.Duration, next func() any) error {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{}) // from here on a read only serves to see it leave
	Close(w.Header())
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold it back
	w.Header().Set("Connection", "close")     // nothing follows a stream
	w.WriteHeader(http.StatusOK)
	send := func(text []byte) error {
		if err := rc.SetWriteDeadline(time.Now().Add(frameTime)); err != nil {
			return err
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
		return rc.Flush()
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		text, err := event(next())
		if err == nil {
			err = send(text)
		}
		if err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			_ = send([]byte("event: end\ndata: {}\n\n")) // it may have left by itself
			return nil
		}
	}
}

// event is one frame; JSON stays on one line, as it escapes line ends.
func event(frame any) ([]byte, error) {
	text, err := json.Marshal(frame)
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{[]byte("event: frame\ndata: "), text, []byte("\n\n")}, nil), nil
}
