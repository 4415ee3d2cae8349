package airsim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"airbridged/internal/airsim/simcloud"
)

// ErrRunning is returned by a second Run or Serve while the first goes on.
var ErrRunning = errors.New("the module is running already")

// ModuleCounters says how much passed through the serial line and what was
// lost there.
type ModuleCounters struct {
	Commands  uint64 `json:"commands"`   // command lines taken
	BytesIn   uint64 `json:"bytes_in"`   // that reached the module
	BytesOut  uint64 `json:"bytes_out"`  // that the module sent
	Overrun   uint64 `json:"overrun"`    // input lost because the module was busy too long
	Unread    uint64 `json:"unread"`     // output lost because the host did not read
	Reboots   uint64 `json:"reboots"`    // for whatever reason
	Faults    uint64 `json:"faults"`     // injected effects that took place
	DataLost  uint64 `json:"data_lost"`  // data phases that ended for want of bytes
	Downlinks uint64 `json:"downlinks"`  // messages from the cloud
	SlotsLost uint64 `json:"slots_lost"` // messages overwritten in cached mode
}

// Module is one simulated module. [Module.Run] or [Module.Serve] switches it on
// and owns its only long-lived goroutine; all other methods may be called from
// anywhere at any time.
type Module struct {
	o      Options
	p      personality
	cloud  *simcloud.Cloud
	inbox  *simcloud.Inbox
	wakeup chan struct{}
	verbs  map[string]verb

	// mu guards everything below. It is taken before the cloud's lock and is
	// never held while the module waits or writes to a descriptor.
	mu       sync.Mutex
	rng      *rand.Rand
	running  bool
	started  bool // it was switched on once
	nested   int  // depth of hooks being run
	port     *serialLine
	now      time.Time // the moment being simulated; at most the wall clock
	future   timeline
	power    uint64 // counts power cycles, so that one's events do not reach the next
	log      transcript
	fresh    []Entry // not given to Options.Log yet
	in       receiver
	out      sender
	set      settings
	saved    saved
	radio    radio
	bearer   bearer
	http     httpSession
	mqtt     mqttSession
	faults   faultState
	counters ModuleCounters
	air      airMeter
}

// New builds a module that will reach the given cloud. It is switched on by Run
// or Serve.
func New(c *simcloud.Cloud, o Options) (*Module, error) {
	p, err := personalityByName(o.Personality)
	if err != nil {
		return nil, err
	}
	p.firmware = cmp.Or(o.Firmware, p.firmware)
	p.maxPayload = cmp.Or(o.MaxPayload, p.maxPayload)
	if c == nil {
		return nil, errors.New("a module needs a cloud")
	}
	if o.Baud != 0 && !usualRate(o.Baud) {
		return nil, fmt.Errorf("%d baud is not a rate that a module knows", o.Baud)
	}
	o = o.withDefaults()
	if len(o.ICCID) < 10 || o.CSQ < 0 || o.CSQ > 31 && o.CSQ != 99 {
		return nil, errors.New("an ICCID has 10 digits or more, and the signal is 0 to 31 or 99")
	}
	m := &Module{
		o: o, p: p, cloud: c,
		wakeup: make(chan struct{}, 1),
		verbs:  verbTable(p),
		rng:    rand.New(rand.NewPCG(o.Seed, 0x41495253494d)),
		radio:  radio{simIn: !o.NoSIM, service: true, csq: o.CSQ},
		saved:  saved{rate: o.fixedRate(p)},
		faults: newFaultState(),
		air:    airMeter{},
	}
	m.inbox = simcloud.NewInbox(m.poke)
	return m, nil
}

func (o Options) withDefaults() Options {
	if o.IMEI == "" {
		o.IMEI = simcloud.GuideDeviceName
	}
	if o.ICCID == "" {
		o.ICCID = "89860418161892021234"
	}
	if o.Operator == "" {
		o.Operator = "CHINA MOBILE"
	}
	if o.CSQ == 0 {
		o.CSQ = 24
	}
	return o
}

// fixedRate is the rate of the module's UART after power-on; 0 means that it
// finds the rate out.
func (o Options) fixedRate(p personality) int {
	switch {
	case p.autobaud:
		return 0
	case o.Baud != 0:
		return o.Baud
	}
	return defaultRate
}

// Run switches the module on and simulates it until ctx ends. The host's end of
// its serial line is what [Module.Open] returns. A second Run after the first
// has returned goes on where the first stopped, without a power cycle.
func (m *Module) Run(ctx context.Context) error {
	if err := m.begin(); err != nil {
		return err
	}
	defer m.finished()
	return m.simulate(ctx)
}

// Serve is Run on a real port, such as the master side of a pseudo-terminal. It
// returns when ctx ends or the port fails; see [Module.Attach] for what it asks
// of the port.
func (m *Module) Serve(ctx context.Context, port io.ReadWriter) error {
	if err := m.begin(); err != nil {
		return err
	}
	defer m.finished()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	attached := make(chan error, 1)
	go func() {
		defer cancel()
		attached <- m.Attach(ctx, port)
	}()
	err := m.simulate(ctx)
	return errors.Join(err, <-attached)
}

func (m *Module) begin() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running {
		return ErrRunning
	}
	m.running = true
	m.now = time.Now()
	if !m.started {
		m.powerOn()
	}
	return nil
}

func (m *Module) finished() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = false
}

// poke wakes the simulation; it never blocks.
func (m *Module) poke() {
	select {
	case m.wakeup <- struct{}{}:
	default:
	}
}

// simulate is the one goroutine that moves the module on.
func (m *Module) simulate(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	defer m.report()
	for {
		m.mu.Lock()
		next, some := m.advance(time.Now())
		m.mu.Unlock()
		m.report()
		if some {
			timer.Reset(time.Until(next))
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-m.wakeup:
		case <-timer.C:
		}
	}
}

// report hands the new transcript entries to Options.Log.
func (m *Module) report() {
	if m.o.Log == nil {
		return
	}
	m.mu.Lock()
	fresh := m.fresh
	m.fresh = nil
	m.mu.Unlock()
	for _, e := range fresh {
		m.o.Log(e.Dir, e.Text)
	}
}

// advance simulates all that is due at or before the wall time, in the order of
// its own time, and returns when the next thing will be. Everything keeps its
// own due time: being woken late moves nothing on the simulated wire.
func (m *Module) advance(wall time.Time) (next time.Time, some bool) {
	for {
		m.takeInbox()
		m.takeInput()
		what, at := m.earliest()
		if what == dueNothing {
			return time.Time{}, false
		}
		if at.After(wall) {
			return at, true
		}
		if at.After(m.now) {
			m.now = at
		}
		switch what {
		case dueOutput:
			m.deliver()
		case dueFuture:
			if e := m.future.pop(); e.power == 0 || e.power == m.power {
				e.run()
			}
		case dueInput:
			m.receive()
		case dueBacklog:
			m.pump()
		}
	}
}

// What comes next.
type source uint8

const (
	dueNothing source = iota
	dueOutput
	dueFuture
	dueBacklog
	dueInput
)

// earliest finds what is due first; at one instant output goes before events,
// and events before input.
func (m *Module) earliest() (what source, at time.Time) {
	consider := func(s source, t time.Time) {
		if what == dueNothing || t.Before(at) {
			what, at = s, t
		}
	}
	if len(m.out.queue) > 0 {
		consider(dueOutput, m.out.queue[0].end)
	}
	if t, ok := m.future.next(); ok {
		consider(dueFuture, t)
	}
	if m.in.ready() && m.radio.alive {
		consider(dueBacklog, m.now)
	}
	if t, ok := m.nextArrival(); ok {
		consider(dueInput, t)
	}
	return what, at
}

// after runs f later in this power cycle.
func (m *Module) after(d time.Duration, f func()) { m.future.add(m.now.Add(d), m.power, f) }

// anyway runs f later even if the module reboots in between: it happens on the
// network.
func (m *Module) anyway(d time.Duration, f func()) { m.future.add(m.now.Add(d), 0, f) }

// draw picks a latency, 0 when latencies are off.
func (m *Module) draw(s span) time.Duration {
	if !m.o.Latency || s.most == 0 {
		return 0
	}
	return s.least + time.Duration(m.rng.Int64N(int64(s.most-s.least)+1))
}

// note records something that did not pass over the wire.
func (m *Module) note(format string, args ...any) {
	m.record(m.now, DirNote, fmt.Sprintf(format, args...))
}

func (m *Module) record(at time.Time, dir, text string) {
	e := Entry{At: at, Dir: dir, Text: text}
	m.log.add(e)
	if m.o.Log != nil {
		m.fresh = append(m.fresh, e)
		m.poke()
	}
}

// Transcript returns the dialogue so far: every command received and line
// sent, the last 65536 entries of it.
func (m *Module) Transcript() []Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Entry(nil), m.log.entries...)
}

// Counters returns what was counted so far.
func (m *Module) Counters() ModuleCounters {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counters
}
