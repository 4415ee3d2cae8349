package airsim

import (
	"fmt"
	"strconv"
)

// generalVerbs are line settings, power and what is accepted without effect.
func generalVerbs() map[string]verb {
	nothing := verb{run: func(*Module, command) reply { return ok() }, allow: "rsq"}
	t := map[string]verb{
		"E": {run: func(m *Module, c command) reply {
			n, _ := c.number(0, 0, 1)
			// The echo of this very line has gone out already.
			m.set.echo = n == 1
			return ok()
		}, allow: "r"},
		"Z":  {run: restore, allow: "r"},
		"&F": {run: restore, allow: "r"},
		"&W": {run: func(m *Module, _ command) reply {
			m.saved.rate, m.saved.cmee = m.set.wanted, m.set.cmee+1
			return ok()
		}, allow: "r"},
		"+CMEE": {run: cmee, test: "+CMEE: (0,1,2)", allow: "qs"},
		"+IPR":  {run: ipr, test: "+IPR: (0,1200,2400,4800,9600,14400,19200,28800,38400,57600,115200,230400,460800,921600)", allow: "qs"},
		"+RESET": {run: func(m *Module, _ command) reply {
			return reply{final: "OK", then: func() { m.rebootSoon("AT+RESET") }}
		}, allow: "r"},
		"+CPOWD": {run: cpowd, test: "+CPOWD: (0,1)", allow: "s"},
	}
	for _, name := range []string{
		"V", "Q", "X", "L", "M", "S", "H", "&V", "&D", "&C", "+IFC", "+ICF", "+CSCLK", "+CMGF", "+CNMI",
		"+CLIP", "+CTZR", "+CTZU", "+CLTS", "+UPGRADE", "+RNDISCALL", "+WISN", "+CIPMUX", "+CIPHEAD", "+CGQREQ",
	} {
		t[name] = nothing
	}
	return t
}

func restore(m *Module, _ command) reply {
	rate := m.set.rate
	m.resetSettings()
	m.set.rate, m.set.wanted = rate, rate
	return ok()
}

func cmee(m *Module, c command) reply {
	if c.op == opRead {
		return ok("+CMEE: " + strconv.Itoa(m.set.cmee))
	}
	n, fine := c.number(0, 0, 2)
	if !fine {
		return m.fail(50)
	}
	m.set.cmee = n
	return ok()
}

// ipr changes the rate once the answer has left at the old one. It is lost at the
// next power-on unless AT&W follows (Air AT manual section 4.7).
func ipr(m *Module, c command) reply {
	if c.op == opRead {
		return ok("+IPR: " + strconv.Itoa(m.set.wanted))
	}
	n, fine := c.number(0, 0, 4_000_000)
	if !fine || n != 0 && !usualRate(n) {
		return m.fail(50)
	}
	switch f := m.faults.take(m, "ipr"); f.how {
	case "fail":
		return m.fail(3)
	case "ignored":
		return ok()
	case "late":
		m.after(f.delay, func() { m.setRate(n) })
		return ok()
	case "early":
		m.setRate(n) // the answer leaves at the new rate
	case "kept":
		m.saved.rate = n
	}
	m.set.wanted = n
	return ok()
}

// changeRate does what AT+IPR asked for once the last answer of its line has
// left.
func (m *Module) changeRate() {
	if m.set.wanted == m.set.rate {
		return
	}
	n := m.set.wanted
	m.flushed(func() { m.setRate(n) })
}

// setRate makes the UART listen and speak at another rate; 0 finds it out anew.
func (m *Module) setRate(n int) {
	m.set.rate, m.set.wanted = n, n
	m.in.trained = n != 0
	m.note("line rate %s", map[bool]string{true: "automatic", false: fmt.Sprint(n)}[n == 0])
}

// cpowd switches the module off; only the reset line or the power key brings it
// back.
func cpowd(m *Module, c command) reply {
	if _, fine := c.number(0, 0, 1); !fine {
		return m.fail(50)
	}
	return reply{final: "OK", then: func() {
		m.sendLine("NORMAL POWER DOWN")
		m.flushed(func() { m.powerOff("AT+CPOWD") })
	}}
}
