package airsim

import (
	"slices"
	"strings"
	"time"

	"airbridged/internal/airsim/orders"
)

// maxNested bounds orders that set each other off at one instant.
const maxNested = 4

// rule is a standing order for lines (by prefix) or for commands (by verb).
type rule struct {
	verb   string // what to do
	prefix string
	delay  time.Duration
	code   int
	when   orders.Trigger
}

// arming is an order for the next occasion of one kind, such as a PUBACK.
type arming struct {
	how   string
	delay time.Duration
	code  int
	text  string
	when  orders.Trigger
}

// hook is an order that waits for something on the wire.
type hook struct {
	dir    string // empty: either direction
	prefix string
	run    orders.Order[*Module]
	when   orders.Trigger
}

// faultState is all that was ordered and has not happened yet.
type faultState struct {
	hung      bool
	brownouts struct {
		left  int
		every time.Duration
	}
	garble struct {
		above int // bits a second; 0: no line is too fast
		prob  float64
	}
	lines    []*rule
	verbs    []*rule
	armed    map[string]*arming
	waiting  []*hook
	noise    time.Duration // 0: no URC noise
	nameless bool          // no name resolves
	repeats  uint64        // generation of noise and every, so that clear ends them
	absentTo time.Time     // the port is unplugged until then
	imei     imeiFault
	starting time.Time // until then it knows no command
	twice    bool      // it prints RDY twice, and is deaf behind the second one
	gnss     bool      // positions are printed between the lines of answers
}

// imeiFault is what a module says that does not tell its IMEI.
type imeiFault struct {
	says string // empty: it tells it
	only bool   // AT+CGSN=1 tells it all the same
}

func newFaultState() faultState { return faultState{armed: map[string]*arming{}} }

// wire finds the order for a line about to be sent.
func (f *faultState) wire(m *Module, label string) (rule, bool) {
	for _, r := range f.lines {
		if strings.HasPrefix(label, r.prefix) && r.when.Fires(m.rng) {
			f.lines = slices.DeleteFunc(f.lines, func(r *rule) bool { return r.when.Left == 0 })
			return *r, true
		}
	}
	return rule{}, false
}

// verb finds the order for a command about to be executed. "late" is one that is
// executed all the same.
func (f *faultState) verb(m *Module, verb string) (rule, bool) {
	for _, r := range f.verbs {
		if strings.EqualFold("AT"+verb, r.prefix) && r.when.Fires(m.rng) {
			f.verbs = slices.DeleteFunc(f.verbs, func(r *rule) bool { return r.when.Left == 0 })
			return *r, true
		}
	}
	return rule{}, false
}

// take finds the order for an occasion of a kind; the zero value is none.
func (f *faultState) take(m *Module, kind string) arming {
	a := f.armed[kind]
	if a == nil || !a.when.Fires(m.rng) {
		return arming{}
	}
	if a.when.Left == 0 {
		delete(f.armed, kind)
	}
	m.happened("%s %s", kind, a.how)
	return *a
}

// hooks runs the orders that wait for this text.
func (m *Module) hooks(dir, text string) {
	if len(m.faults.waiting) == 0 {
		return
	}
	var run []orders.Order[*Module]
	for _, h := range m.faults.waiting {
		if (h.dir == "" || h.dir == dir) && strings.HasPrefix(text, h.prefix) && h.when.Fires(m.rng) {
			run = append(run, h.run)
		}
	}
	m.faults.waiting = slices.DeleteFunc(m.faults.waiting, func(h *hook) bool { return h.when.Left == 0 })
	for _, a := range run {
		if m.nested >= maxNested {
			// An order that causes what it waits for: let time pass.
			m.anyway(time.Millisecond, func() { a.Do(m) })
			continue
		}
		m.nested++
		a.Do(m)
		m.nested--
	}
}

// noiseLines are lines that are none of a driver's business, and a few that only
// look like it.
func noiseLines() []string {
	return []string{
		"^MODE: 17,17", "+E_UTRAN Service", "+CGEV: ME PDN ACT 1", "+NITZ: 2024/07/10,08:33:44+0,0",
		"+CREG: 1", "+CEREG: 1", "+CSQ: 23,0", "*BANDIND: 3", "+CMTI: \"SM\",1", "RING", "+CPIN: READY",
		"+QIND: \"FOTA\",\"START\"", "+CREG: 2,1,\"0B,\"0100701\",7", "SRING: 1", "SMS READY",
	}
}

// noisy prints one line of noise and plans the next.
func (m *Module) noisy(generation uint64) {
	m.anyway(m.faults.noise, func() {
		if m.faults.noise == 0 || m.faults.repeats != generation {
			return
		}
		lines := noiseLines()
		if m.radio.alive {
			m.sendLine(lines[m.rng.IntN(len(lines))])
		}
		m.noisy(generation)
	})
}
