package airsim

import (
	"strings"
	"time"
)

// settings are lost at every power cycle: "none of these survive a reboot".
type settings struct {
	echo   bool
	cmee   int
	rate   int  // what the UART runs at; 0 finds it out
	wanted int  // AT+IPR=n, from the end of this line on
	cached bool // AT+MQTTMSGSET=1
	hex    bool // AT+MQTTMODE=1
	creg   int  // AT+CREG=n
	// What no restart changes, because it stands for another firmware.
	sub  string // form of the +MSUB header
	ends string // key of lineEnds
}

// saved is what AT&W keeps.
type saved struct {
	rate int
	cmee int // and 1 to it; 0: the firmware's own
	apn  accessPoint
}

// resetSettings gives every setting its value after power-on.
func (m *Module) resetSettings() {
	sub, ends := m.set.sub, m.set.ends
	if sub == "" {
		sub, ends = m.p.msub, "crlf"
	}
	cmee := m.p.cmee
	if m.saved.cmee > 0 {
		cmee = m.saved.cmee - 1
	}
	m.set = settings{echo: m.p.echo, cmee: cmee, rate: m.saved.rate, wanted: m.saved.rate, cached: m.p.cached, sub: sub, ends: ends}
}

// powerOn starts the module: everything is forgotten, then comes the boot
// sequence.
func (m *Module) powerOn() {
	m.power++
	if m.started {
		m.faults.hung = false // what was ordered before the first start holds
	}
	m.started = true
	m.resetSettings()
	m.in.forget(m.set.rate != 0)
	m.http = httpSession{}
	m.mqtt = mqttSession{}
	m.bearer = bearer{}
	m.radio.powerCycle()
	if n := &m.faults.brownouts; n.left > 0 {
		n.left--
		m.after(n.every, func() { m.reboot("brown-out") })
	}
	m.boot()
}

// forget empties the input side.
func (r *receiver) forget(trained bool) {
	r.fifo, r.line, r.overlong = r.fifo[:0], r.line[:0], false
	r.busy, r.data, r.chain = false, nil, nil
	r.trained = trained
	r.trains = 0
}

// boot schedules what the module prints and does while it starts.
func (m *Module) boot() {
	w := m.p.wait
	m.radio.gen++
	if !m.o.Latency {
		m.radio.alive = true
		power := m.power
		for _, b := range m.p.boot {
			if m.bootLine(b); m.power != power {
				return // a hook has restarted it once more
			}
		}
		m.radioOn(true)
		return
	}
	for _, b := range m.p.boot {
		m.after(b.after, func() { m.bootLine(b) })
	}
	m.after(m.draw(w.boot), func() {
		m.radio.alive = true
		m.radioOn(true)
	})
}

// bootLine prints one line of the boot sequence.
func (m *Module) bootLine(b bootLine) {
	if b.net && (!m.radio.simIn || !m.radio.service) {
		return
	}
	// Local time in the two forms seen; both tell the quarter hours.
	now := m.now.UTC()
	text := strings.NewReplacer("%NITZ4%", now.Format("2006/01/02,15:04:05")+"+0,0",
		"%NITZ2%", now.Format("06/01/02,15:04:05")+"+32,0").Replace(b.text)
	if b.raw {
		m.emit(text, []byte(text))
		return
	}
	m.sendLine(text)
	if text == "RDY" && m.faults.twice {
		m.after(700*time.Millisecond, func() {
			m.resetSettings()
			m.sendLine("RDY")
			m.hang(6 * time.Second)
		})
	}
}

// reboot is a restart without any farewell: what was on its way out is cut, the
// cloud is told nothing.
func (m *Module) reboot(why string) {
	m.powerOff(why)
	m.counters.Reboots++
	m.powerOn()
}

// powerOff stops everything.
func (m *Module) powerOff(why string) {
	m.note("power: %s", why)
	m.started = true // it stays off, where that is before the first start
	m.power++
	m.out.queue = nil
	m.out.free = m.now
	m.radio.alive = false
	m.mqtt.pending = false
	m.cutLink()
	m.in.forget(false)
}

// rebootSoon is AT+RESET and AT+CFUN=1,1: the answer goes out first.
func (m *Module) rebootSoon(why string) {
	m.flushed(func() { m.reboot(why) })
}

// hang lets the module answer nothing until the time is over, or until it is
// reset when there is no time.
func (m *Module) hang(d time.Duration) {
	m.faults.hung = true
	if d > 0 {
		m.after(d, func() { m.faults.hung = false })
	}
}
