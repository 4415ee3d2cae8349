package client

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"airbridged/client/api"
)

// ErrStopped ends a stream when the daemon stops in good order.
var ErrStopped = errors.New("airbridged is stopping")

// ErrDenied ends a stream that the access rules do not allow any more.
var ErrDenied = errors.New("the access rules have changed")

// ErrStalled ends a stream on which not even a heartbeat came for 45 s.
var ErrStalled = errors.New("airbridged has gone silent")

const (
	// stallTime is three heartbeats of the daemon.
	stallTime = 45 * time.Second
	// maxLine bounds a line of a stream in bytes: the largest payload as base64
	// or with every byte escaped, and room for the rest.
	maxLine = 1 << 20
)

// Stream is a sequence of values from the daemon that goes on until the context
// of its making ends, Close is called, or the daemon or the connection goes.
// Next is for one goroutine at a time; Close may be called from any.
type Stream[T any] struct {
	lines  *bufio.Scanner
	body   io.Closer
	ctx    context.Context // of the request; its cause says who ended it
	cancel context.CancelCauseFunc
	stall  *time.Timer // runs while Next waits
	decode decoder[T]
}

// decoder makes a value of one line of the given type; ok is false for lines
// that have nothing to say: heartbeats, and what only a newer daemon knows.
type decoder[T any] func(kind string, data []byte) (v T, ok bool, err error)

// openStream sends the request and returns when the daemon has begun the
// stream.
func openStream[T any](ctx context.Context, c *Client, target string, decode decoder[T]) (*Stream[T], error) {
	ctx, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(stallTime, func() { cancel(ErrStalled) })
	resp, err := c.send(ctx, http.MethodGet, target, nil)
	if !late.Stop() && err == nil {
		err = ErrStalled
		_ = resp.Body.Close()
	}
	if err != nil {
		if errors.Is(context.Cause(ctx), ErrStalled) {
			err = fmt.Errorf("airbridged on %s: %w", c.socket, ErrStalled)
		}
		cancel(nil)
		return nil, err
	}
	s := &Stream[T]{lines: bufio.NewScanner(resp.Body), body: resp.Body, ctx: ctx, cancel: cancel, decode: decode}
	s.lines.Buffer(nil, maxLine)
	s.stall = time.AfterFunc(stallTime, func() { cancel(ErrStalled) })
	s.stall.Stop()
	return s, nil
}

// Next returns the next value, waiting for it. The stream is over after the
// first error: [ErrStopped], [ErrDenied], [ErrTryAgain] where the daemon had to give this
// connection's place to another user, [ErrStalled], what the context ended with, io.EOF
// after Close, io.ErrUnexpectedEOF when the daemon was cut off.
func (s *Stream[T]) Next() (T, error) {
	var none T
	defer s.stall.Stop()
	for {
		s.stall.Reset(stallTime)
		if !s.lines.Scan() {
			return none, s.ending()
		}
		var head struct{ Type, Reason, Detail string }
		if err := json.Unmarshal(s.lines.Bytes(), &head); err != nil {
			return none, fmt.Errorf("stream of airbridged: %w", err)
		}
		if head.Type == api.EndLine {
			if head.Reason == api.EndDenied {
				return none, fmt.Errorf("%w: %s", ErrDenied, head.Detail)
			}
			if head.Reason == api.EndCrowded {
				return none, fmt.Errorf("stream of airbridged: another user needed its connection: %w", ErrTryAgain)
			}
			if why := endings[head.Reason]; why != nil {
				return none, why
			}
			return none, ErrStopped
		}
		v, ok, err := s.decode(head.Type, s.lines.Bytes())
		if err != nil {
			return none, fmt.Errorf("stream of airbridged: %w", err)
		}
		if ok {
			return v, nil
		}
	}
}

// ending says why there are no more lines.
func (s *Stream[T]) ending() error {
	if cause := context.Cause(s.ctx); cause != nil {
		return cause
	}
	if err := s.lines.Err(); err != nil {
		return fmt.Errorf("stream of airbridged: %w", err)
	}
	return io.ErrUnexpectedEOF
}

// Line is what the last Next returned as the daemon wrote it: one JSON object
// without its line end. It is valid until Next is called again.
func (s *Stream[T]) Line() []byte { return s.lines.Bytes() }

// Close ends the stream; a Next that waits returns io.EOF. It must be called
// once the stream is not needed any more, also after an error.
func (s *Stream[T]) Close() error {
	s.cancel(io.EOF)
	return s.body.Close()
}

// Item is one thing that a subscription tells; exactly one field is set. The
// first item of a stream is Subscribed.
type Item struct {
	Subscribed []Grant   // the subscription stands; which filters the cloud has acknowledged by now
	Message    *Received // a message came down
	Granted    string    // the cloud has acknowledged this filter; repeats after a reconnect
	Refused    *Refused  // the cloud refuses a filter; it is asked for again after an hour, or a reload
	Call       *Call     // the cloud asks, and waits for an answer
	Gap        int       // so many messages were missed here, because this program was too slow
}

// Grant tells whether the cloud has acknowledged a filter. Until then messages
// may pass by unseen.
type Grant = api.Grant

// Refused tells which filter the cloud refuses, and why.
type Refused = api.Refused

// Received is a message from the cloud.
type Received struct {
	Topic      string
	Payload    []byte
	ReceivedAt time.Time // when the module handed it over
	ID         string    // for [Client.Acknowledge]; "": it is not kept
}

// Subscribe listens to one or more topic filters, with + for one level and # for
// all that follow. When it returns, the daemon has the subscription; it keeps
// the filters subscribed at the cloud for as long as the stream is open. What was
// sent before the cloud has acknowledged a filter ([Grant], [Item]) does not arrive.
// [ErrTryAgain]: too many streams are open, or the cloud takes no more filters.
func (c *Client) Subscribe(ctx context.Context, filters ...string) (*Stream[Item], error) {
	query := make([]string, len(filters))
	for i, f := range filters {
		query[i] = "topic=" + queryEscape(f)
	}
	return openStream(ctx, c, "/v1/subscribe?"+strings.Join(query, "&"), decodeItem)
}

// decodeItem is the decoder of subscriptions.
func decodeItem(kind string, data []byte) (it Item, ok bool, err error) {
	switch kind {
	case api.SubscribedLine:
		var l api.Subscribed
		err = json.Unmarshal(data, &l)
		it.Subscribed = l.Topics
	case api.GrantedLine:
		var l api.Granted
		err = json.Unmarshal(data, &l)
		it.Granted = l.Topic
	case api.RefusedLine:
		it.Refused = new(Refused)
		err = json.Unmarshal(data, it.Refused)
	case api.GapLine:
		var l api.Gap
		err = json.Unmarshal(data, &l)
		it.Gap = l.Dropped
	case api.MessageLine:
		it.Message, err = decodeMessage(data)
	case api.CallLine:
		it.Call, err = decodeCall(data)
	default:
		return it, false, nil
	}
	return it, err == nil, err
}

func decodeMessage(data []byte) (*Received, error) {
	var l api.Received
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, err
	}
	payload, err := decodePayload(l.Payload, l.Encoding)
	if err != nil {
		return nil, err
	}
	return &Received{Topic: l.Topic, Payload: payload, ReceivedAt: l.ReceivedAt, ID: l.ID}, nil
}

func decodePayload(text, encoding string) ([]byte, error) {
	switch encoding {
	case api.UTF8:
		return []byte(text), nil
	case api.Base64:
		return base64.StdEncoding.DecodeString(text)
	}
	return nil, fmt.Errorf("payload with the unknown encoding %q", encoding)
}

// Event is a change of the daemon's state or a warning, by its Type: "state" or
// "warning".
type Event = api.Event

// Events listens to changes of the daemon's state, beginning with the present
// one, and to warnings.
func (c *Client) Events(ctx context.Context) (*Stream[Event], error) {
	return openStream(ctx, c, "/v1/events", func(kind string, data []byte) (e Event, ok bool, err error) {
		if kind != api.StateEvent && kind != api.WarningEvent {
			return e, false, nil
		}
		err = json.Unmarshal(data, &e)
		return e, err == nil, err
	})
}
