package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"airbridged/client"
)

const (
	sampleTime = time.Second // between two looks at the outbox
	linesApart = 5           // looks from one line to the next where they stay
	rateTime   = time.Minute // what a rate is taken over, at most
)

// sample is one look at the outbox.
type sample struct {
	at    time.Time
	left  int    // messages in the outbox
	gone  uint64 // messages that went out since the daemon started
	state string
	cause string
}

// progress is what several samples say.
type progress struct {
	sample
	rate *float64       // messages a second that go out; nil: not known yet
	eta  *time.Duration // until the outbox is empty, should it go on like this; nil: not known, or never
}

// meter makes rates of the samples of the last rateTime.
type meter struct{ samples []sample }

// add takes a sample. What was before a restart of the daemon or another state
// says nothing about what comes now.
func (m *meter) add(s sample) progress {
	if n := len(m.samples); n > 0 && (s.gone < m.samples[n-1].gone || s.state != m.samples[n-1].state) {
		m.samples = m.samples[:0]
	}
	m.samples = append(m.samples, s)
	for len(m.samples) > 2 && s.at.Sub(m.samples[1].at) >= rateTime {
		m.samples = m.samples[1:]
	}
	p := progress{sample: s}
	first := m.samples[0]
	seconds := s.at.Sub(first.at).Seconds()
	if seconds <= 0 {
		return p
	}
	rate := float64(s.gone-first.gone) / seconds
	p.rate = &rate
	// More may come in than go out, so the forecast is not left/rate.
	if less := float64(first.left-s.left) / seconds; rate > 0 && less > 0 {
		const longest = 100 * 365 * 24 * time.Hour
		eta := time.Duration(min(float64(s.left)/less, longest.Seconds()) * float64(time.Second))
		p.eta = &eta
	}
	return p
}

// words is the progress on one line.
func (p progress) words() string {
	s := count(p.left, "message") + " left"
	switch {
	case p.left == 0:
		return "the outbox is empty"
	case p.state != "online":
		s += "; " + orUnknown(p.state)
		if p.cause != "" {
			s += ", cause " + printable(p.cause)
		}
		return s
	case p.rate == nil:
		return s
	case *p.rate == 0:
		return s + ", none goes out"
	}
	s += ", " + rateWords(*p.rate)
	if p.eta == nil {
		return s + ", but as many come in"
	}
	return s + ", about " + span(*p.eta) + " to go"
}

func rateWords(perSecond float64) string {
	switch {
	case perSecond >= 10:
		return fmt.Sprintf("%.0f a second", perSecond)
	case perSecond >= 1:
		return fmt.Sprintf("%.1f a second", perSecond)
	}
	return fmt.Sprintf("%.0f a minute", math.Ceil(perSecond*60))
}

// progressLine is the progress for programs.
type progressLine struct {
	At          time.Time `json:"at"`
	Left        int       `json:"left"`
	PerSecond   *float64  `json:"per_second"`
	SecondsLeft *int64    `json:"seconds_left"`
	State       string    `json:"state"`
	Cause       string    `json:"cause"`
}

func (p progress) line() progressLine {
	l := progressLine{At: p.at.UTC().Truncate(time.Millisecond), Left: p.left, State: p.state, Cause: p.cause}
	if p.rate != nil {
		rounded := math.Round(*p.rate*100) / 100
		l.PerSecond = &rounded
	}
	if p.eta != nil {
		seconds := int64(p.eta.Round(time.Second).Seconds())
		l.SecondsLeft = &seconds
	}
	return l
}

func watchOutbox(e *env) error {
	show := lines(e)
	if painted := newPaintedLine(e.stdout.w); painted != nil && !e.json {
		defer painted.end()
		show = func(p progress) error { return painted.paint(p.words()) }
	}
	return watch(e.ctx, func(ctx context.Context) (sample, error) { return askSample(ctx, e.client) }, show)
}

// askSample looks at the outbox now.
func askSample(ctx context.Context, c *client.Client) (sample, error) {
	page, err := askPage(ctx, c, "", 1)
	if err != nil {
		return sample{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	s, err := c.Status(ctx)
	return sample{at: time.Now(), left: page.Total, gone: s.Counters.Acked + s.Counters.Sent, state: s.State, cause: s.Cause}, err
}

// watch shows the progress until the outbox is empty.
func watch(ctx context.Context, ask func(context.Context) (sample, error), show func(progress) error) error {
	var m meter
	tick := time.NewTicker(sampleTime)
	defer tick.Stop()
	for {
		s, err := ask(ctx)
		if err != nil {
			return err
		}
		if err := show(m.add(s)); err != nil || s.left == 0 {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lines shows the progress as lines that stay: the first, some of those between,
// and the last.
func lines(e *env) func(progress) error {
	n := 0
	return func(p progress) error {
		n++
		switch {
		case p.left > 0 && n%linesApart != 1:
			return nil
		case e.json:
			return e.printJSON(p.line())
		}
		_, err := fmt.Fprintf(e.stdout, "%s %s\n", p.at.Local().Format(time.DateTime), p.words())
		return err
	}
}
