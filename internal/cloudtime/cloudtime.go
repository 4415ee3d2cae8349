// Package cloudtime asks the platform what time it is: over the MQTT session, on the
// topics that it has for devices without a clock (Aliyun IoT, NTP service).
//
// It owns one question and its answer. It promises:
//   - an answer counts only for the question it belongs to, so that one that comes late
//     is none;
//   - the time is wrong by no more than half the way there and back, and a way that took
//     too long gives none;
//   - nothing is asked while there is no session.
//
// It never looks at what the system clock says but to mark a question, and sets no clock.
package cloudtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"airbridged/internal/bus"
)

// Errors of a question that got no answer.
var (
	ErrOffline = errors.New("there is no session to ask the platform for the time")
	ErrSilent  = errors.New("the platform did not tell the time")
)

const (
	// granting is how long the answer's topic may take to be subscribed: other filters
	// may come first.
	granting = time.Minute
	// waiting is how long an answer is waited for, and with that the greatest error of
	// one twice over.
	waiting = 20 * time.Second

	// The years that a platform can be in now.
	firstYear, lastYear = 2026, 2099
)

// Asker asks for the time.
type Asker struct {
	hub     *bus.Hub
	board   *bus.StatusBoard
	publish func(ctx context.Context, topic string, payload []byte) error
}

// New returns an Asker. publish sends a message of QoS 0 to the cloud.
func New(hub *bus.Hub, board *bus.StatusBoard, publish func(ctx context.Context, topic string, payload []byte) error) *Asker {
	return &Asker{hub: hub, board: board, publish: publish}
}

// Ask asks once, and returns the platform's time, and the moment of this machine at which
// it was that. It takes a minute and a half at most. Errors: [ErrOffline], [ErrSilent], or
// that of ctx.
func (a *Asker) Ask(ctx context.Context) (told, at time.Time, err error) {
	st := a.board.Status()
	if st.State != "online" || st.Identity.DeviceName == nil {
		return told, at, ErrOffline
	}
	base := "/ext/ntp/" + st.Identity.ProductKey + "/" + *st.Identity.DeviceName
	sub, err := a.hub.Subscribe([]string{base + "/response"})
	if err != nil {
		return told, at, fmt.Errorf("%w: %w", ErrSilent, err)
	}
	defer sub.Close()
	if err := granted(ctx, sub, base+"/response"); err != nil {
		return told, at, err
	}
	sent := time.Now()
	mark := strconv.FormatInt(sent.UnixMilli(), 10)
	if err := a.publish(ctx, base+"/request", []byte(`{"deviceSendTime":"`+mark+`"}`)); err != nil {
		return told, at, fmt.Errorf("%w: %w", ErrSilent, err)
	}
	return answer(ctx, sub, mark, sent)
}

// granted waits until the cloud has acknowledged the filter: an answer that comes before
// that comes to nobody.
func granted(ctx context.Context, sub *bus.Subscription, filter string) error {
	bounded, stop := context.WithTimeout(ctx, granting)
	defer stop()
	for !sub.Granted()[filter] {
		item, err := sub.Next(bounded)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("%w: its topic was not granted: %w", ErrSilent, err)
		case item.Refused != "":
			return fmt.Errorf("%w: its topic is refused: %s", ErrSilent, item.Reason)
		}
	}
	return nil
}

// answer waits for the answer to the question with this mark.
func answer(ctx context.Context, sub *bus.Subscription, mark string, sent time.Time) (told, at time.Time, err error) {
	bounded, stop := context.WithTimeout(ctx, waiting)
	defer stop()
	for {
		item, err := sub.Next(bounded)
		switch {
		case ctx.Err() != nil:
			return told, at, context.Cause(ctx)
		case err != nil:
			return told, at, fmt.Errorf("%w within %v", ErrSilent, waiting)
		case item.Message == nil:
			continue
		}
		now := time.Now()
		if t, ok := parse(item.Message.Payload, mark, now.Sub(sent)); ok {
			return t, now, nil
		}
	}
}

// number is a time in milliseconds, which the platform writes as a number or as text.
type number int64

func (n *number) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	if err != nil {
		return fmt.Errorf("no number of milliseconds: %w", err)
	}
	*n = number(v)
	return nil
}

// parse returns the platform's time at the moment when the answer came, after the way
// there and back took so long. ok is false for what is not the answer to this question,
// or cannot be.
func parse(payload []byte, mark string, took time.Duration) (t time.Time, ok bool) {
	var told struct {
		DeviceSendTime, ServerRecvTime, ServerSendTime *number
	}
	if json.Unmarshal(payload, &told) != nil || told.DeviceSendTime == nil || told.ServerRecvTime == nil || told.ServerSendTime == nil {
		return time.Time{}, false
	}
	there := time.Duration(*told.ServerSendTime-*told.ServerRecvTime) * time.Millisecond
	if strconv.FormatInt(int64(*told.DeviceSendTime), 10) != mark || there < 0 || there > took {
		return time.Time{}, false
	}
	t = time.UnixMilli(int64(*told.ServerSendTime)).Add((took - there) / 2).UTC()
	return t, t.Year() >= firstYear && t.Year() <= lastYear
}
