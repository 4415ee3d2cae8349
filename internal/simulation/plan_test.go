package simulation

import (
	"math/rand/v2"
	"time"

	"airbridged/internal/airsim"
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
	return p
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
