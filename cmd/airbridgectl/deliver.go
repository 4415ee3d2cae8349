package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"airbridged/client"
)

// repeatTime is for a daemon that broke off to be there again. Tests give it less.
var repeatTime = 20 * time.Second

const (
	keepTime   = 40 * time.Second       // for the daemon to keep a message, over the wait
	repeatGap  = 200 * time.Millisecond // before the first repeat, twice as long before each further one
	repeatMost = 2 * time.Second        // but no longer
)

// errKept is a wait that ran out.
var errKept = errors.New("the message is kept, but the cloud has not acknowledged it yet: the daemon goes on trying, do not send it again")

// unknownError is a publish of which nobody knows whether it is kept.
type unknownError struct {
	error
	key string // of the message; empty for best effort
}

func (u unknownError) Error() string {
	if u.key == "" {
		return u.error.Error() + "; it is not known whether the message is sent"
	}
	return fmt.Sprintf("%v; it is not known whether the message is kept: try again with --key %s, which keeps nothing twice", u.error, quoted(u.key))
}

// quoted is a word as a shell takes it.
func quoted(word string) string {
	if !strings.ContainsFunc(word, func(r rune) bool {
		return !strings.ContainsRune("-._:/", r) && (r > 'z' || !unicode.IsLetter(r) && !unicode.IsDigit(r))
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func (u unknownError) Unwrap() error { return u.error }

// delivery is one message on its way to the daemon.
type delivery struct {
	*env
	topic   string
	payload []byte
	o       client.PublishOptions
	end     time.Time       // of the wait
	giveUp  time.Time       // when to ask no more
	kept    *client.Message // the last answer, of a wait that ended early
	lost    error           // why the first request had no answer
}

// deliver hands a message to the daemon. Where no answer comes it asks again with the
// message's key, for as long as a daemon needs to be there again; where the daemon ended
// the wait early, because it stops, it waits on.
func deliver(e *env, topic string, payload []byte, o client.PublishOptions) (client.Message, error) {
	now := time.Now()
	d := &delivery{env: e, topic: topic, payload: payload, o: o, end: now.Add(o.Wait), giveUp: now.Add(o.Wait)}
	for gap := repeatGap; ; gap = min(2*gap, repeatMost) {
		m, err, done := d.once()
		if done {
			return m, err
		}
		left := time.Until(d.giveUp)
		if left <= 0 {
			return d.stand()
		}
		select {
		case <-e.ctx.Done():
			return d.stand()
		case <-time.After(min(gap, left)):
		}
	}
}

// once asks once; done says that there is no more to learn.
func (d *delivery) once() (_ client.Message, _ error, done bool) {
	o := d.o
	if d.kept != nil || d.lost != nil {
		o.Wait = max(time.Until(d.end).Round(time.Millisecond), 0)
	}
	ctx, cancel := context.WithTimeout(d.ctx, keepTime+max(o.Wait, 0))
	defer cancel()
	m, err := d.client.Publish(ctx, d.topic, d.payload, o)
	if err == nil {
		d.kept = &m
		return m, nil, m.State.Final() || !time.Now().Before(d.end)
	}
	first := d.kept == nil && d.lost == nil
	problem, refused := errors.AsType[*client.Problem](err)
	answered := refused || errors.Is(err, client.ErrUnreachable) || errors.Is(err, client.ErrNotPermitted)
	switch {
	case first && answered:
		return m, err, true
	case d.kept == nil && refused && final(problem):
		return m, err, true
	case answered: // by a daemon that is about to stop, or to start
		return m, err, false
	case d.lost == nil:
		d.lost = err
		if d.kept == nil && d.o.Key != "" && d.ctx.Err() == nil && ctx.Err() == nil {
			d.giveUp = later(d.end, time.Now().Add(repeatTime))
		}
	}
	if d.o.Key == "" || ctx.Err() != nil { // it does not answer at all
		m, err := d.stand()
		return m, err, true
	}
	return m, err, false
}

// stand is how things stand when nobody asks any more.
func (d *delivery) stand() (client.Message, error) {
	switch {
	case d.kept != nil && d.ctx.Err() != nil:
		d.note("interrupted: message %s is kept, do not send it again", d.kept.ID)
		return *d.kept, nil
	case d.kept != nil:
		return *d.kept, nil
	case d.lost == nil:
		return client.Message{}, d.ctx.Err()
	case d.ctx.Err() != nil:
		d.note("%v", unknownError{errors.New("interrupted"), d.o.Key})
	}
	return client.Message{}, unknownError{d.lost, d.o.Key}
}

// final is a refusal that would have met the first request, too.
func final(p *client.Problem) bool {
	return p.Status >= 400 && p.Status < 500 && p.Status != http.StatusTooManyRequests && p.Status != http.StatusRequestTimeout
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
