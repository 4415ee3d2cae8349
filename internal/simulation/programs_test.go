package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"airbridged/internal/batch"
	"airbridged/internal/bus"
	"airbridged/internal/outbox"
)

// publish is one program that sends, until ctx ends. A daemon that is away is tried
// again, as the client package does.
func (g *gateway) publish(ctx context.Context, program int, random *rand.Rand) {
	h := g.p.programs[program]
	for n := 0; ; n++ {
		pause := time.Duration(random.ExpFloat64() * float64(h.pause))
		if random.Float64() < h.burst {
			pause = time.Duration(random.IntN(2000)) * time.Microsecond
		}
		if !sleep(ctx, pause) {
			return
		}
		m := g.compose(h, program, n, random)
		g.referee.submit(m)
		for !g.append(ctx, m, random.Float64() < h.wait, random) {
			if !sleep(ctx, time.Second) {
				return
			}
		}
	}
}

// compose makes the next message of a program.
func (g *gateway) compose(h habit, program, n int, random *rand.Rand) *message {
	m := &message{program: program, n: n}
	m.Topic, m.QoS, m.Priority = fmt.Sprintf("%s/user/p%d", own, program), 1, outbox.Normal
	if random.Float64() < h.qos0 {
		m.QoS = 0
	}
	if h.mixed {
		m.Priority = outbox.Priority(random.IntN(3))
	}
	if random.Float64() < h.ttl {
		m.TTL = time.Duration(random.ExpFloat64() * float64(5*time.Minute))
		m.TTL = max(m.TTL, time.Second)
	}
	if random.Float64() < h.latest {
		m.Latest = true
		m.Topic += "/latest"
	}
	// Backslashes take the other wire form where there is one; not every module has one
	// for NUL.
	filler := []string{"", `"quoted"`, strings.ReplaceAll(words(random), "\x00", ""), `back\slash`, strings.Repeat("x", 300)}[random.IntN(5)]
	m.Payload = fmt.Appendf(nil, "%d:%d:%s", program, n, filler)
	if g.p.batch != nil && g.p.batch.Envelope != batch.LengthPrefixed { // these carry JSON
		m.Payload, _ = json.Marshal(string(m.Payload))
	}
	return m
}

// append gives a message to the daemon. It says false when there is none, which is
// known for sure: nobody took the connection.
func (g *gateway) append(ctx context.Context, m *message, wait bool, random *rand.Rand) bool {
	l := g.current()
	if l == nil || l.dead.Load() {
		return false
	}
	got, err := l.queue.Append(ctx, m.Message)
	g.referee.accepted(m, got, err, l.dead.Load())
	if err != nil && !l.dead.Load() {
		g.judgeRefusal(m, err)
	}
	if err != nil || !wait || l.dead.Load() {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(1+random.IntN(60))*time.Second)
	defer cancel()
	if final, err := l.queue.Wait(ctx, got.ID); err == nil && !l.dead.Load() {
		g.referee.toldState(m, final.State)
	}
	return true
}

// judgeRefusal checks that a message is refused only for a reason.
func (g *gateway) judgeRefusal(m *message, err error) {
	g.referee.mu.Lock()
	defer g.referee.mu.Unlock()
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, outbox.ErrClosed):
	case errors.Is(err, outbox.ErrFull) && g.p.limits.Messages < 1000:
	case errors.Is(err, outbox.ErrDisk) && time.Since(g.referee.diskAt) < diskGrace:
	default:
		g.referee.violated("%s is refused: %v", m, err)
	}
}

// diskGrace is how soon after a disk has room again messages must be taken.
const diskGrace = 5 * time.Second

// listen is one program that subscribes, until ctx ends: it comes and goes, and is
// slow at times.
func (g *gateway) listen(ctx context.Context, random *rand.Rand) {
	for sleep(ctx, time.Duration(random.ExpFloat64()*float64(10*time.Minute))) {
		l := g.current()
		if l == nil {
			continue
		}
		sub, err := l.hub.Subscribe([]string{own + "/user/+"})
		if err != nil {
			g.referee.fail("subscribe: %v", err)
			return
		}
		g.read(ctx, sub, l, random)
		sub.Close()
	}
}

// read checks what comes down: in order, nothing invented, gaps told.
func (g *gateway) read(ctx context.Context, sub *bus.Subscription, l *life, random *rand.Rand) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(random.ExpFloat64()*float64(time.Hour)))
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	last := -1
	for {
		item, err := sub.Next(ctx)
		if err != nil {
			return
		}
		if item.Message != nil {
			last = g.referee.heard(last, item.Message)
		}
		if random.IntN(40) == 0 && !sleep(ctx, time.Duration(random.ExpFloat64()*float64(10*time.Minute))) {
			return
		}
	}
}

// push has the cloud send down, until ctx ends.
func (g *gateway) push(ctx context.Context, random *rand.Rand) {
	for sleep(ctx, time.Duration(random.ExpFloat64()*float64(3*time.Minute))) {
		g.sendDown(random)
	}
}

// answer has the cloud send down while a message of the gateway waits for its
// acknowledgement, as somebody would who wants to forge it, until ctx ends.
func (g *gateway) answer(ctx context.Context, sent <-chan struct{}, random *rand.Rand) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-sent:
		}
		if random.IntN(4) == 0 {
			if !sleep(ctx, time.Duration(random.ExpFloat64()*float64(time.Second))) {
				return
			}
			g.sendDown(random)
		}
	}
}

// sendDown sends one message down: plain text, or what a module says.
func (g *gateway) sendDown(random *rand.Rand) {
	filler := strings.Repeat("y", random.IntN(200))
	if random.IntN(3) > 0 {
		filler = words(random)
	}
	g.downs.Lock()
	defer g.downs.Unlock()
	g.cloud.Push(downlink, byte(random.IntN(2)), g.referee.sentDown(filler))
}

// sleep waits; it says false when ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
