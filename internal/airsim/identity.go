package airsim

import (
	"fmt"
	"strings"
	"time"
)

// identityVerbs are the commands that say who the module is and what time it
// has.
func identityVerbs() map[string]verb {
	firmware := func(m *Module, _ command) reply { return ok(fmt.Sprintf(m.p.cgmr, m.p.firmware)) }
	return map[string]verb{
		"I": {run: func(m *Module, _ command) reply {
			var lines []string
			for _, form := range m.p.ati {
				lines = append(lines, strings.ReplaceAll(form, "%s", m.p.firmware))
			}
			return ok(lines...)
		}, allow: "r"},
		"+CGMR": {run: firmware, allow: "r"},
		"+GMR":  {run: firmware, allow: "r"},
		"+VER":  {run: func(m *Module, _ command) reply { return ok(m.p.firmware) }, allow: "r"},
		"+CGMM": {run: func(m *Module, _ command) reply { return ok(m.p.model) }, allow: "r"},
		"+CGMI": {run: func(*Module, command) reply { return ok("AirM2M") }, allow: "r"},
		"+CGSN": {run: cgsn, test: "+CGSN: (0-3)", allow: "rs"},
		"+GSN":  {run: func(m *Module, _ command) reply { return ok(m.o.IMEI) }, allow: "r"},
		"+CIMI": {run: func(m *Module, _ command) reply {
			return m.card(func() string { return "460040" + m.o.ICCID[len(m.o.ICCID)-9:] })
		}, allow: "r"},
		"+CCID": {run: func(m *Module, _ command) reply {
			return m.card(func() string { return fmt.Sprintf(m.p.ccid, m.o.ICCID) })
		}, allow: "r"},
		"+ICCID": {run: func(m *Module, _ command) reply {
			return m.card(func() string { return fmt.Sprintf(m.p.iccid, m.o.ICCID) })
		}, allow: "r"},
		"+CCLK": {run: func(m *Module, c command) reply {
			if c.op == opSet {
				return ok()
			}
			return ok(fmt.Sprintf(`+CCLK: "%s"`, m.clock()))
		}, allow: "qs"},
		"*EXINFO": {run: func(*Module, command) reply { return ok("*EXINFO: 0") }, allow: "qr"},
	}
}

// cgsn tells the IMEI, bare, or behind its name where AT+CGSN=1 asks for it (3GPP TS
// 27.007 section 5.4); 2G modules know no argument.
func cgsn(m *Module, c command) reply {
	form := "%s"
	if c.op == opSet {
		if n, fine := c.number(0, 0, 3); !fine || n != 1 || !m.p.lte {
			return m.fail(50)
		}
		form = `+CGSN: "%s"`
	}
	switch f := m.faults.imei; {
	case f.says == "" || f.only && c.op == opSet:
		return ok(fmt.Sprintf(form, m.o.IMEI))
	case f.says == "nothing":
		return ok()
	case f.says == "refused":
		return m.fail(100)
	default:
		return ok(fmt.Sprintf(form, f.says))
	}
}

// card answers what is read from the SIM.
func (m *Module) card(read func() string) reply {
	switch {
	case !m.radio.simIn:
		return m.fail(10)
	case m.radio.simStuck.code > 0:
		return m.fail(m.radio.simStuck.code)
	case !m.radio.simReady:
		return m.fail(14)
	}
	return ok(read())
}

// clock is local time in quarter hours, 32 of them for China; it begins in 1970
// until the network has told the time.
func (m *Module) clock() string {
	if !m.radio.registered || m.radio.clockUnset {
		return "70/01/01,08:00:00+32"
	}
	return m.now.Add(m.radio.clockOff).In(time.FixedZone("CST", 8*3600)).Format("06/01/02,15:04:05") + "+32"
}
