package simulation

import (
	"math/rand/v2"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/airsim/simcloud"
	"airbridged/internal/batch"
	"airbridged/internal/outbox"
	"airbridged/internal/session"
)

// plan is what a seed decides of a day before it begins.
type plan struct {
	seed     uint64
	faulty   time.Duration // faults strike so long
	module   airsim.Options
	modem    session.Modem
	https    bool
	limits   outbox.Limits
	window   time.Duration // outbox.commit_window
	flush    time.Duration // what a flush of the disk takes at most
	between  time.Duration // faults come that far apart, on average
	programs []habit
	batch    *batch.Rule             // by which the messages of all programs travel; nil: each by itself
	only     string                  // the one strike or disaster there is; empty: all of them
	breaks   func(*session.Recovery) // only to show that it is noticed
	blind    bool                    // the same: the referee does not look at the line
	lying    bool                    // the same: the outbox's disk syncs nothing
}

// habit is how one program publishes.
type habit struct {
	pause  time.Duration // between its messages, on average
	burst  float64       // how often the next message follows at once
	qos0   float64       // how often it is content with QoS 0
	mixed  bool          // uses all three priorities
	ttl    float64
	latest float64
	wait   float64 // how often it waits for the acknowledgement
}

// calm is how long everything works at the end of a day, or longer while the outbox
// drains. The session has to come back in it, and may not stand still so long.
const calm = time.Hour

func newPlan(seed uint64, day time.Duration) plan {
	r := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	p := plan{seed: seed, faulty: max(day-calm, calm), https: r.IntN(2) == 0}
	p.module = airsim.Options{
		Personality: []string{"2g", "air724", "air780e", "air780ep"}[r.IntN(4)], Seed: seed,
		Baud:    []int{9600, 115200, 921600}[r.IntN(3)],
		Latency: r.IntN(4) > 0, RTT: time.Duration(1+r.IntN(400)) * time.Millisecond,
	}
	p.modem = session.Modem{Baud: p.module.Baud, APN: "CMIOT"}
	switch r.IntN(3) {
	case 0:
		p.modem.Baud = 0 // trains
	case 1:
		p.modem.WorkBaud = []int{115200, 460800, 921600}[r.IntN(3)]
	}
	p.limits = outbox.Limits{Bytes: 64 << 20, Messages: 1_000_000}
	switch r.IntN(6) {
	case 0:
		p.limits.Messages = 20 + r.IntN(40) // and refuse
	case 1:
		p.limits.Messages, p.limits.DropOldest = 20+r.IntN(40), true
	}
	p.window = []time.Duration{0, 0, 20 * time.Millisecond, time.Second}[r.IntN(4)]
	p.flush = []time.Duration{time.Millisecond, 10 * time.Millisecond, 300 * time.Millisecond}[r.IntN(3)]
	p.between = []time.Duration{3 * time.Minute, 8 * time.Minute, 20 * time.Minute}[r.IntN(3)]
	p.programs = make([]habit, 2+r.IntN(3))
	for i := range p.programs {
		p.programs[i] = habit{
			pause: []time.Duration{15 * time.Second, time.Minute, 4 * time.Minute, 10 * time.Minute}[r.IntN(4)], burst: r.Float64() * 0.5, mixed: r.IntN(2) == 0,
			qos0: rarely(r), ttl: rarely(r), latest: rarely(r), wait: rarely(r),
		}
	}
	if r.IntN(2) == 0 { // what a seed decided before there was this stays as it was
		p.batch = newRule(r, p.module.Personality)
	}
	return p
}

// newRule draws how readings travel. Modules of text get text.
func newRule(r *rand.Rand, personality string) *batch.Rule {
	rule := &batch.Rule{
		Topic: own + "/user/#", MaxMessages: []int{2, 10, 100}[r.IntN(3)], MaxBytes: []int{0, 0, 700}[r.IntN(3)],
		MaxWait: []time.Duration{0, 0, 0, 20 * time.Second}[r.IntN(4)],
	}
	rule.Envelope = batch.Envelope(batch.Envelopes()[r.IntN(3)])
	rule.Compress = batch.Compression(batch.Compressions()[r.IntN(3)])
	if rule.Compress == batch.Deflate && r.IntN(2) == 0 {
		rule.Dictionary = []byte(`0:1:"quoted"PUBACK\r\n`)
	}
	if text := r.IntN(3) == 0; text || personality == "2g" || personality == "air724" {
		rule.Encoding = batch.Base64
	}
	return rule
}

// packing is the same, as the receiver knows it.
func (p plan) packing() *simcloud.Packing {
	if p.batch == nil {
		return nil
	}
	f := p.batch.Form
	return &simcloud.Packing{Envelope: string(f.Envelope), Compress: string(f.Compress), Dictionary: f.Dictionary, Base64: f.Encoding == batch.Base64}
}

// together is how many messages one publish carries at most.
func (p plan) together() int {
	if p.batch == nil {
		return 1
	}
	return p.batch.MaxMessages
}

// rarely draws a share that is nothing at all for one in two.
func rarely(r *rand.Rand) float64 {
	if r.IntN(2) == 0 {
		return 0
	}
	return r.Float64() * 0.3
}

// recovery is the configuration's, unless a test breaks it on purpose.
func (p plan) recovery(r session.Recovery) session.Recovery {
	if p.breaks != nil {
		p.breaks(&r)
	}
	return r
}
