package airsim

import (
	"fmt"
	"maps"
	"time"
)

// verb is one command of the table.
type verb struct {
	run   func(m *Module, c command) reply
	test  string // what the test form =? prints; empty: only OK
	allow string // the operations it takes: r(un) s(et) q(uery); the test form always
}

// reply is what a command answers.
type reply struct {
	info  []string // information lines
	block *block   // HTTPREAD's body
	final string   // the final result; empty: none
	bad   bool     // the rest of the line is not executed
	last  []string // lines behind the final result (CIPSTATUS)
	then  func()   // what the command sets off once the answer is printed
	wait  bool     // the answer comes later, by Module.finish
	slow  time.Duration
}

// block is a counted answer.
type block struct {
	header string
	body   []byte
}

func ok(info ...string) reply { return reply{info: info, final: "OK"} }

func pending() reply { return reply{wait: true} }

func plainError() reply { return reply{final: "ERROR", bad: true} }

// verbTable is every command that a personality knows.
func verbTable(p personality) map[string]verb {
	t := map[string]verb{}
	maps.Copy(t, generalVerbs())
	maps.Copy(t, identityVerbs())
	maps.Copy(t, radioVerbs())
	maps.Copy(t, bearerVerbs())
	maps.Copy(t, httpVerbs())
	if p.mqtt {
		maps.Copy(t, mqttVerbs())
	}
	if !p.tls {
		for _, name := range []string{"+SSLMIPSTART", "+SSLCFG", "+HTTPSSL"} {
			delete(t, name)
		}
	}
	if !p.mpubex {
		delete(t, "+MPUBEX")
	}
	if !p.mqttmode {
		delete(t, "+MQTTMODE")
	}
	if !p.netAPN {
		delete(t, "+CPNETAPN")
	}
	return t
}

// nextCommand executes the next command of the line, or answers OK when there
// is none left.
func (m *Module) nextCommand() {
	if len(m.in.chain) == 0 {
		m.answer(ok(), 0)
		return
	}
	c := m.in.chain[0]
	m.in.chain = m.in.chain[1:]
	m.execute(c)
}

// execute runs one command through the command faults.
func (m *Module) execute(c command) {
	rule, hit := m.faults.verb(m, c.verb)
	if hit {
		m.happened("%s AT%s", rule.verb, c.verb)
		switch rule.verb {
		case "mute":
			m.in.chain = nil
			return
		case "error":
			m.answer(m.failCode(rule.code), 0)
			return
		}
	}
	power := m.power
	if r := m.perform(c); m.power == power {
		m.answer(r, rule.delay)
	}
}

// unready says whether the module knows no command yet but those of the line itself.
func (m *Module) unready(c command) bool {
	return m.now.Before(m.faults.starting) && c.verb != "" && c.verb != "E" && c.verb != "+CMEE" && c.verb != "+IPR"
}

// perform finds and runs the command.
func (m *Module) perform(c command) reply {
	v, known := m.verbs[c.verb]
	if m.unready(c) {
		return m.failCode(4)
	}
	if !known {
		return m.unknown()
	}
	switch c.op {
	case opTest:
		if v.test == "" {
			return ok()
		}
		return ok(v.test)
	case opRun:
		known = contains(v.allow, 'r')
	case opSet:
		known = contains(v.allow, 's')
	case opRead:
		known = contains(v.allow, 'q')
	}
	if !known {
		return m.unknown()
	}
	return v.run(m, c)
}

func contains(s string, b byte) bool {
	for i := range len(s) {
		if s[i] == b {
			return true
		}
	}
	return false
}

// answer prints a reply after the latency of a command and any extra wait.
func (m *Module) answer(r reply, extra time.Duration) {
	if r.wait {
		m.in.busy = m.in.data == nil
		return
	}
	d := m.draw(m.p.wait.command) + r.slow + extra
	if d == 0 {
		m.finish(r)
		return
	}
	m.in.busy = true
	m.after(d, func() { m.finish(r) })
}

// finish prints a reply, goes on with the rest of the line, and lets the module
// take the next one.
func (m *Module) finish(r reply) {
	m.in.busy = false
	power := m.power
	if r.bad {
		m.in.chain = nil
	}
	more := len(m.in.chain) > 0
	m.print(r, !more)
	if m.power != power {
		return // a hook has restarted the module
	}
	if r.then != nil {
		r.then()
	}
	if more {
		m.nextCommand()
	}
}

// print sends the lines of a reply; the final result only at the end of a
// command line.
func (m *Module) print(r reply, end bool) {
	for _, text := range r.info {
		m.position()
		m.sendLine(text)
	}
	m.position()
	if r.block != nil {
		m.sendBlock(r.block.header, r.block.body)
	}
	if r.bad {
		if f := m.faults.take(m, "echo-rejected"); f.how != "" {
			m.transmit([]byte(m.in.last + "\r"))
		}
	}
	if r.final != "" && end {
		m.sendFinal(r)
		m.changeRate()
	}
	for _, text := range r.last {
		m.sendLine(text)
	}
}

// position prints what a module with a receiver for positions does at any time, between
// the lines of an answer too (Air780EG).
func (m *Module) position() {
	if m.faults.gnss {
		m.sendLine("$GNRMC,061500.000,A,3109.4521,N,12123.1174,E,0.12,0.00,231126,,,A*76")
	}
}

// sendFinal prints the final result. Behind the body of HTTPREAD there is no
// blank line (vendor logs).
func (m *Module) sendFinal(r reply) {
	if r.block != nil {
		m.emit(r.final, []byte(r.final+"\r\n"))
		return
	}
	m.sendLine(r.final)
}

// fail is an error with a number, in the form that AT+CMEE selects.
func (m *Module) fail(code int) reply {
	switch {
	case m.set.cmee == 1:
		return reply{final: fmt.Sprintf("+CME ERROR: %d", code), bad: true}
	case m.set.cmee == 2:
		return reply{final: "+CME ERROR: " + cmeText(code), bad: true}
	}
	return plainError()
}

// failCode is what a fault ordered: 0 or less is a plain ERROR, all else is a
// number whatever AT+CMEE says.
func (m *Module) failCode(code int) reply {
	if code <= 0 {
		return plainError()
	}
	return reply{final: fmt.Sprintf("+CME ERROR: %d", code), bad: true}
}

// unknown answers what is not a command here, or not written as one.
func (m *Module) unknown() reply {
	if m.p.unknownCME == 0 {
		return plainError()
	}
	return m.fail(m.p.unknownCME)
}

// cmeText is the wording of AT+CMEE=2 (Air AT manual section 3.15).
func cmeText(code int) string {
	texts := map[int]string{
		3: "operation not allowed", 4: "operation not supported", 10: "SIM not inserted", 11: "SIM PIN required",
		13: "SIM failure", 14: "SIM busy", 30: "no network service", 50: "incorrect parameters", 53: "invalid parameter",
		58: "invalid command line", 100: "unknown", 148: "unspecified GPRS error", 765: "invalid input value",
		767: "operation failed", 797: "CFUN state is 0 or 4", 65535: "other error",
	}
	if t, found := texts[code]; found {
		return t
	}
	return "unknown"
}
