package airsim

import "fmt"

// bearer is the packet connection that commands open: SAPBR for HTTP, CSTT and
// CIICR for sockets.
type bearer struct {
	open    bool // SAPBR context 1
	contype string
	apn     string
	started bool // CSTT
	ip      bool // CIICR
}

// mqttReady says whether MQTT has a way out: LTE firmware has a default context
// after attach (Air AT manual section 16); 2G uses the bearer opened for HTTP
// (vendor quick guide) or the socket's.
func (m *Module) mqttReady() bool {
	return m.online() && (m.p.defaultIP && m.defaultAPNWorks() || !m.p.defaultIP && (m.bearer.open || m.bearer.ip))
}

// accessPoint is that of the default context, set by CPNETAPN or, where there is none,
// CGDCONT and CGAUTH, and kept over restarts.
type accessPoint struct {
	name, user, password string
	auth                 int
}

// defaultAPNWorks says whether the network lets packets of the default context through:
// a card with an access point of its own wants that one there, whatever SAPBR and CSTT
// say (vendor's page on CPNETAPN).
func (m *Module) defaultAPNWorks() bool {
	a := m.saved.apn
	return m.o.APN == "" || a.name == m.o.APN && (m.o.APNUser == "" || a.user == m.o.APNUser && a.password == m.o.APNPassword && a.auth > 0)
}

// cpnetapn is AT+CPNETAPN=<mode>,<apn>,<user>,<password>,<auth>: 0 saves it, 1 has it at
// once, 2 both, 3 deletes it. The simulator takes all but 3 as 2. The data session begins
// anew (public notes on the Air780E).
func cpnetapn(m *Module, c command) reply {
	if c.op == opRead {
		return ok(fmt.Sprintf(`+CPNETAPN: 2,"%s","%s","%s",%d`, m.saved.apn.name, m.saved.apn.user, m.saved.apn.password, m.saved.apn.auth))
	}
	mode, fine := c.number(0, 0, 3)
	if !fine || mode != 3 && len(c.args) < 2 || len(c.args) > 5 {
		return m.fail(50)
	}
	a := accessPoint{}
	if mode != 3 {
		a.name = c.args[1].text
	}
	if len(c.args) > 3 {
		a.user, a.password = c.args[2].text, c.args[3].text
	}
	if len(c.args) > 4 {
		if a.auth, fine = c.number(4, 0, 2); !fine {
			return m.fail(50)
		}
	}
	m.saved.apn = a
	return reply{final: "OK", then: func() { m.dropLink("the data session begins anew") }}
}

// cgdcont and cgauth set the same where there is no CPNETAPN; where there is, they are
// ignored while nothing was saved by it.
func cgdcont(m *Module, c command) reply {
	if c.op == opRead {
		return ok(fmt.Sprintf(`+CGDCONT: 1,"IP","%s","%s",0,0`, m.bearer.apn, m.p.ip))
	}
	if len(c.args) > 2 && c.args[0].text == "1" && !m.p.netAPN {
		m.saved.apn = accessPoint{name: c.args[2].text}
	}
	return ok()
}

func cgauth(m *Module, c command) reply {
	auth, fine := c.number(1, 0, 2)
	if !fine || len(c.args) != 4 {
		return m.fail(50)
	}
	if !m.p.netAPN {
		m.saved.apn.user, m.saved.apn.password, m.saved.apn.auth = c.args[2].text, c.args[3].text, auth
	}
	return ok()
}

// stackState is what AT+CIPSTATUS and a failed connect tell.
func (m *Module) stackState() string {
	switch {
	case !m.online():
		return "PDP DEACT"
	case m.mqtt.state == mqttOnline || m.mqtt.state == mqttTCP:
		return "CONNECT OK"
	case m.bearer.ip:
		return "IP STATUS"
	case m.bearer.started:
		return "IP START"
	}
	return "IP INITIAL"
}

func bearerVerbs() map[string]verb {
	return map[string]verb{
		"+CPNETAPN":  {run: cpnetapn, test: "+CPNETAPN: (0-3),<apn>,<user>,<password>,(0-2)", allow: "sq"},
		"+CGDCONT":   {run: cgdcont, allow: "qs"},
		"+CGAUTH":    {run: cgauth, test: "+CGAUTH: (1-15),(0-2),<user>,<password>", allow: "s"},
		"+SAPBR":     {run: sapbr, test: "+SAPBR: (0-4),(1-3),(CONTYPE,APN,USER,PWD),", allow: "s"},
		"+CIPSHUT":   {run: cipshut, allow: "r"},
		"+CSTT":      {run: cstt, test: "+CSTT: \"APN\",\"USER\",\"PWD\"", allow: "rsq"},
		"+CIICR":     {run: ciicr, allow: "r"},
		"+CIFSR":     {run: cifsr, allow: "r"},
		"+CIPSTATUS": {run: cipstatus, allow: "r"},
		"+CDNSGIP": {run: func(m *Module, c command) reply {
			if len(c.args) != 1 {
				return m.fail(50)
			}
			if !m.bearer.ip {
				return m.fail(3)
			}
			if m.faults.nameless {
				return reply{final: "OK", last: []string{"+CDNSGIP: 0,8"}}
			}
			return reply{final: "OK", last: []string{fmt.Sprintf(`+CDNSGIP: 1,"%s","203.0.113.7"`, c.args[0].text)}}
		}, allow: "s"},
	}
}

// sapbr is AT+SAPBR=<type>,<cid>[,<tag>,<value>]: 0 close, 1 open, 2 query, 3 set,
// 4 get (Air AT manual; vendor quick guide).
func sapbr(m *Module, c command) reply {
	kind, fine := c.number(0, 0, 4)
	if _, cid := c.number(1, 1, 3); !fine || !cid {
		return m.fail(50)
	}
	switch kind {
	case 0:
		if !m.bearer.open {
			return m.fail(3)
		}
		m.bearer.open = false
		return reply{final: "OK", then: func() {
			if m.mqtt.state != mqttOffline && !m.mqttReady() {
				m.dropLink("the bearer was closed")
			}
		}}
	case 1:
		return m.openBearer()
	case 2:
		if m.bearer.open {
			return ok(fmt.Sprintf(m.p.sapbr, 1, 1, m.p.ip))
		}
		return ok(fmt.Sprintf(m.p.sapbr, 1, 3, m.p.noIP))
	case 3:
		return m.setBearer(c)
	}
	return ok("+SAPBR:", "CONTYPE: "+m.bearer.contype, "APN: "+m.bearer.apn)
}

func (m *Module) setBearer(c command) reply {
	if len(c.args) != 4 || len(c.args[3].text) > 50 {
		return m.fail(50)
	}
	switch value := c.args[3].text; c.args[2].text {
	case "CONTYPE":
		if value != "GPRS" {
			return m.fail(50)
		}
		m.bearer.contype = value
	case "APN":
		m.bearer.apn = value
	case "USER", "PWD":
	default:
		return m.fail(50)
	}
	return ok()
}

// openBearer is AT+SAPBR=1,1. The APN is checked by the network; an empty one
// means automatic on LTE.
func (m *Module) openBearer() reply {
	slow := m.draw(m.p.wait.bearer) + m.o.RTT
	switch f := m.faults.take(m, "bearer"); {
	case f.how == "fail":
		r := m.fail(148)
		r.slow = slow
		return r
	case f.how == "never":
		return pending()
	}
	r := m.radio
	switch {
	case m.bearer.open && m.p.reopenOK:
		return ok()
	case m.bearer.open:
		return m.fail(3)
	case r.pdpStuck || r.mode != 1 || !r.attached || !r.service:
		failed := m.fail(3)
		failed.slow = slow
		return failed
	case !m.apnWorks(m.bearer.apn):
		failed := m.fail(148)
		failed.slow = slow
		return failed
	}
	m.radio.pdpLost = false
	m.bearer.open = true
	return reply{final: "OK", slow: slow}
}

func (m *Module) apnWorks(apn string) bool {
	return m.o.APN == "" || apn == m.o.APN || apn == "" && m.p.defaultIP
}

// cipshut closes every context and connection. It is the way out of +PDP DEACT.
func cipshut(m *Module, _ command) reply {
	m.dropLinkSilently()
	m.bearer = bearer{apn: m.bearer.apn, contype: m.bearer.contype}
	return reply{final: m.p.shut}
}

// cstt only works in the state IP INITIAL.
func cstt(m *Module, c command) reply {
	if c.op == opRead {
		return ok(fmt.Sprintf(`+CSTT: "%s","",""`, m.bearer.apn))
	}
	if m.bearer.started {
		return m.fail(3)
	}
	if len(c.args) > 0 {
		m.bearer.apn = c.args[0].text
	}
	m.bearer.started = true
	return ok()
}

// ciicr without attachment tells the loss of the context first, then the error
// (vendor TCP log of the Air780EP).
func ciicr(m *Module, _ command) reply {
	slow := m.draw(m.p.wait.bearer) + m.o.RTT
	switch {
	case !m.bearer.started || m.bearer.ip:
		return m.fail(3)
	case m.radio.pdpStuck || !m.radio.attached || !m.apnWorks(m.bearer.apn):
		r := m.fail(65535)
		r.info, r.slow = []string{"+PDP: DEACT"}, slow
		return r
	}
	m.radio.pdpLost = false
	m.bearer.ip = true
	return reply{final: "OK", slow: slow}
}

// cifsr answers the bare address and no OK.
func cifsr(m *Module, _ command) reply {
	if !m.bearer.ip {
		return m.fail(3)
	}
	return reply{final: m.p.ip}
}

// cipstatus answers OK first.
func cipstatus(m *Module, _ command) reply {
	return reply{final: "OK", last: []string{"STATE: " + m.stackState()}}
}

// pdpLost is the network taking the context away, in one of the spellings of the
// vendor's documents. stuck: only CGACT, CFUN or a reset gets it back.
func (m *Module) pdpLost(spelling string, stuck bool) {
	texts := map[string]string{"colon": "+PDP: DEACT", "plain": "+PDP DEACT", "cgev": "+CGEV: NW PDN DEACT 1"}
	m.radio.pdpLost, m.radio.pdpStuck = true, stuck
	m.bearer.open, m.bearer.ip, m.bearer.started = false, false, false
	m.dropLinkSilently()
	m.sendLine(texts[spelling])
	m.httpLost()
}

// sapbrLost is the loss of the HTTP bearer alone; a request under way fails.
func (m *Module) sapbrLost() {
	m.bearer.open = false
	m.sendLine("+SAPBR 1: DEACT")
	m.httpLost()
}
