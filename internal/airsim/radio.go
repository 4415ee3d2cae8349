package airsim

import (
	"fmt"
	"strconv"
	"time"
)

// radio is the SIM card, the registration and the attachment, and whether the
// module runs at all.
type radio struct {
	alive    bool // booted and listening
	simIn    bool
	simLock  string // the code that card or module wants, as AT+CPIN? names it; empty: none
	simStuck stuck  // the card is not answered for
	service  bool   // there is a network to be heard
	csq      int
	says     says // what the registration is, whatever the network does

	clockUnset bool          // the network tells no time
	clockOff   time.Duration // or one that is so far off

	mode       int    // AT+CFUN: 0, 1 or 4
	simReady   bool   // the card has been read
	registered bool   // AT+CREG
	attached   bool   // AT+CGATT
	pdpLost    bool   // the network took the PDP context away
	pdpStuck   bool   // and only CFUN, CGACT or a reset gets it back
	gen        uint64 // of the present attempt to attach
}

// says is a registration that was ordered.
type says struct {
	ordered bool
	stat    int  // 3GPP TS 27.007 section 7.2
	works   bool // packet data works all the same
	reject  int  // the network's reason, told as AT+CEREG=3 has it; 0: not told
}

// served says whether there is packet data with what was ordered.
func (s says) served() bool {
	return !s.ordered || s.works || s.stat == 1 || s.stat == 5 || s.stat == 9 || s.stat == 10
}

// stuck is a card that is there and cannot be read: every question about it is refused
// with a number until it gets its power anew.
type stuck struct {
	code  int  // 0: it is not
	reset bool // the power of the card goes only with that of the module, not by CFUN=0
}

// powerCycle forgets what a restart forgets; card, network and signal stay.
func (r *radio) powerCycle() {
	*r = radio{says: r.says, simIn: r.simIn, simLock: r.simLock, service: r.service, csq: r.csq, clockUnset: r.clockUnset, clockOff: r.clockOff, mode: 1, gen: r.gen + 1}
}

// radioOn reads the card, registers and attaches, as far as card and network
// allow. booted says that the waits count from power-on; after AT+CFUN=1 they are
// those that remain without the boot.
func (m *Module) radioOn(booted bool) {
	m.radio.gen++
	gen := m.radio.gen
	w := m.p.wait
	base := w.boot.most
	if !booted {
		base = w.sim.least
	}
	step := func(s span, f func()) {
		d := m.draw(span{max(0, s.least-base), max(0, s.most-base)})
		run := func() {
			if m.radio.gen == gen && m.radio.mode == 1 {
				f()
			}
		}
		if d == 0 {
			run()
			return
		}
		m.after(d, run)
	}
	step(w.sim, func() { m.radio.simReady = m.radio.simIn && m.radio.simLock == "" && m.radio.simStuck.code == 0 })
	step(w.register, func() { m.register() })
	step(w.attach, func() { m.attachNow() })
}

func (m *Module) register() {
	was := m.radio.registered
	m.radio.registered = m.radio.simReady && m.radio.service && m.radio.says.served()
	if m.radio.registered != was {
		m.cregChanged()
	}
}

func (m *Module) attachNow() {
	m.register()
	m.radio.attached = m.radio.registered && m.faults.take(m, "attach").how == ""
}

// cregChanged prints the registration when AT+CREG asked for it.
func (m *Module) cregChanged() {
	if m.set.creg > 0 {
		m.sendLine("+CREG: " + strconv.Itoa(m.cregState()))
	}
}

func (m *Module) cregState() int {
	switch {
	case m.radio.says.ordered && m.radio.mode == 1 && m.radio.simReady && m.radio.service:
		return m.radio.says.stat
	case m.radio.registered:
		return 1
	case m.radio.mode == 1 && m.radio.simReady:
		return 2
	}
	return 0
}

// radioOff is AT+CFUN=0 and =4.
func (m *Module) radioOff(mode int) {
	m.radio.gen++
	m.radio.mode = mode
	if mode == 0 && !m.radio.simStuck.reset {
		m.radio.simStuck = stuck{}
	}
	m.radio.simReady, m.radio.registered, m.radio.attached = false, false, false
	m.radio.pdpLost, m.radio.pdpStuck = false, false
	m.bearer = bearer{apn: m.bearer.apn}
	m.dropLink("the radio was switched off")
}

// online says whether packets can be exchanged at all.
func (m *Module) online() bool {
	r := m.radio
	return r.alive && r.mode == 1 && r.simReady && r.service && r.attached && !r.pdpLost
}

// serviceLost and serviceBack are the network coming and going.
func (m *Module) serviceLost() {
	m.radio.service = false
	m.radio.gen++
	m.radio.registered, m.radio.attached = false, false
	m.bearer.open, m.bearer.ip = false, false
	if m.p.lte {
		m.sendLine("^MODE: 0,0")
		m.sendLine("+NO Service")
	}
	m.cregChanged()
	m.deadLink()
}

func (m *Module) serviceBack() {
	m.radio.service = true
	if m.p.lte {
		m.sendLine("^MODE: 17,17")
		m.sendLine("+E_UTRAN Service")
	}
	m.dropLink("the network address changed")
	m.radioOn(false)
}

// simRemoved and simInserted are hot plug.
func (m *Module) simRemoved() {
	m.radio.simIn = false
	if m.p.lte {
		m.sendLine("+CPIN: SIM REMOVED 0")
	} else {
		m.sendLine("+CPIN: NOT INSERTED")
	}
	m.simStops()
}

// networkSays orders a registration; one that serves is as if the network came back.
func (m *Module) networkSays(s says) {
	m.radio.says = s
	if s.served() {
		if !m.radio.attached {
			m.dropLink("the network address changed")
			m.radioOn(false)
		}
		return
	}
	m.radio.gen++
	m.radio.registered, m.radio.attached = false, false
	m.bearer.open, m.bearer.ip = false, false
	m.cregChanged()
	m.deadLink()
}

// simStops is a card that cannot be read any more, for whatever reason; the module
// says nothing of it before it is asked.
func (m *Module) simStops() {
	m.radio.gen++
	m.radio.simReady, m.radio.registered, m.radio.attached = false, false, false
	m.bearer = bearer{apn: m.bearer.apn}
	m.cregChanged()
	m.deadLink()
}

func (m *Module) simInserted() {
	m.radio.simIn = true
	if m.p.lte {
		m.sendLine("+CPIN: READY 0")
	} else {
		m.sendLine("+CPIN: READY")
	}
	m.dropLink("the network address changed")
	m.radioOn(false)
}

func radioVerbs() map[string]verb {
	return map[string]verb{
		"+CPIN": {run: cpin, allow: "qs"},
		"+CSQ": {run: func(m *Module, _ command) reply {
			csq := m.radio.csq
			if !m.radio.service || m.radio.mode != 1 {
				csq = 99
			}
			return ok(fmt.Sprintf("+CSQ: %d,%d", csq, map[bool]int{true: 0, false: 99}[m.p.lte && !m.p.noBER]))
		}, test: "+CSQ: (0-31,99),(0-7,99)", allow: "rq"},
		"+CREG":  {run: registration("+CREG"), test: "+CREG: (0-2)", allow: "qs"},
		"+CGREG": {run: registration("+CGREG"), test: "+CGREG: (0-2)", allow: "qs"},
		"+CEREG": {run: registration("+CEREG"), test: "+CEREG: (0-2)", allow: "qs"},
		"+CGATT": {run: cgatt, test: "+CGATT: (0,1)", allow: "qs"},
		"+COPS":  {run: cops, test: "+COPS: (0-4),(0-2)", allow: "qs"},
		"+CFUN":  {run: cfun, test: "+CFUN: (0,1,4),(0,1)", allow: "qs"},
		"+CGACT": {run: cgact, test: "+CGACT: (0,1)", allow: "qs"},
		"+CGPADDR": {run: func(m *Module, _ command) reply {
			if !m.online() {
				return ok("+CGPADDR: 1")
			}
			return ok(fmt.Sprintf(`+CGPADDR: 1,"%s"`, m.p.ip))
		}, allow: "rs"},
	}
}

func cpin(m *Module, c command) reply {
	switch r := m.radio; {
	case !r.simIn:
		return m.fail(10)
	case r.simStuck.code > 0:
		return m.fail(r.simStuck.code)
	case c.op == opSet:
		m.radio.simLock = ""
		m.radioOn(false)
		return ok()
	case r.simLock != "" && r.mode == 1:
		return ok("+CPIN: " + r.simLock)
	case r.mode == 0:
		return m.fail(13)
	case !r.simReady:
		return m.fail(14)
	}
	return ok("+CPIN: READY")
}

// registration answers AT+CREG?, CGREG? and CEREG?. One firmware answers CEREG?
// with the prefix of CGREG (hardware observation on an Air780EPV).
func registration(name string) func(*Module, command) reply {
	return func(m *Module, c command) reply {
		if c.op == opSet {
			n, fine := c.number(0, 0, 2)
			if !fine {
				return m.fail(50)
			}
			if name == "+CREG" {
				m.set.creg = n
			}
			return ok()
		}
		prefix := name
		if name == "+CEREG" {
			prefix = m.p.cereg
		}
		state := m.cregState()
		if reject := m.radio.says.reject; reject > 0 {
			return ok(fmt.Sprintf("%s: 3,%d,,,,0,%d", prefix, state, reject))
		}
		return ok(fmt.Sprintf("%s: %d,%d", prefix, m.set.creg, state))
	}
}

func cgatt(m *Module, c command) reply {
	if c.op == opRead {
		return ok("+CGATT: " + map[bool]string{true: "1", false: "0"}[m.radio.attached])
	}
	n, fine := c.number(0, 0, 1)
	switch {
	case !fine:
		return m.fail(50)
	case n == 1 && !m.radio.registered:
		return m.fail(30)
	case n == 1:
		m.attachNow()
		return ok()
	}
	m.radio.attached = false
	m.bearer = bearer{apn: m.bearer.apn}
	return reply{final: "OK", then: func() { m.dropLink("detached") }}
}

func cops(m *Module, c command) reply {
	switch {
	case c.op == opSet:
		return ok()
	case !m.radio.registered:
		return ok("+COPS: 0")
	}
	return ok(fmt.Sprintf(`+COPS: 0,0,"%s",%d`, m.o.Operator, map[bool]int{true: 7, false: 0}[m.p.lte]))
}

func cfun(m *Module, c command) reply {
	if c.op == opRead {
		return ok("+CFUN: " + strconv.Itoa(m.radio.mode))
	}
	mode, fine := c.number(0, 0, 4)
	if !fine || mode != 0 && mode != 1 && mode != 4 {
		return m.fail(50)
	}
	if reset, given := c.number(1, 0, 1); given && reset == 1 {
		return reply{final: "OK", then: func() { m.rebootSoon("AT+CFUN=1,1") }}
	}
	switch {
	case mode != 1:
		m.radioOff(mode)
	case m.radio.mode != 1:
		m.radio.mode = 1
		return reply{final: "OK", then: func() { m.radioOn(false) }}
	}
	return ok()
}

// cgact activates a context again after the network took it away (Air AT manual,
// recovery after +PDP DEACT).
func cgact(m *Module, c command) reply {
	if c.op == opRead {
		return ok("+CGACT: 1," + map[bool]string{true: "1", false: "0"}[m.online()])
	}
	n, fine := c.number(0, 0, 1)
	switch {
	case !fine:
		return m.fail(50)
	case n == 1 && !m.radio.attached:
		return m.fail(148)
	case n == 1:
		m.radio.pdpLost, m.radio.pdpStuck = false, false
	}
	return ok()
}
