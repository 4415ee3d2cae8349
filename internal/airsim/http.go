package airsim

import (
	"bytes"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"airbridged/internal/airsim/simcloud"
)

// httpSession is the one HTTP session of the module.
type httpSession struct {
	begun   bool
	url     string
	headers []string // USER_DEFINED
	content string   // CONTENT
	data    []byte
	reply   []byte
	have    bool // there is a reply to read
	running int  // method of the request under way, -1 none
	active  bool
	number  uint64 // of the request under way
}

func httpVerbs() map[string]verb {
	return map[string]verb{
		"+HTTPINIT":   {run: httpInit, allow: "r"},
		"+HTTPTERM":   {run: httpTerm, allow: "r"},
		"+HTTPPARA":   {run: httpPara, test: `+HTTPPARA: (CID,URL,UA,PROIP,PROPORT,REDIR,BREAK,BREAKEND,TIMEOUT,CONTENT,USER_DEFINED)`, allow: "s"},
		"+HTTPDATA":   {run: httpData, test: "+HTTPDATA: (0-3356),(1000-120000)", allow: "s"},
		"+HTTPACTION": {run: httpAction, test: "+HTTPACTION: (0-2)", allow: "s"},
		"+HTTPREAD":   {run: httpRead, test: "+HTTPREAD: (0-3356),(1-3356)", allow: "rs"},
		"+HTTPSSL":    {run: func(*Module, command) reply { return ok() }, test: "+HTTPSSL: (0,1)", allow: "sq"},
		"+SSLCFG":     {run: sslcfg, test: `+SSLCFG: "sslversion",(0-5,34,88,153),(0-4)`, allow: "s"},
	}
}

func sslcfg(m *Module, c command) reply {
	if len(c.args) < 2 {
		return m.fail(50)
	}
	return ok()
}

// httpInit fails when there is a session: HTTPTERM comes first.
func httpInit(m *Module, _ command) reply {
	if m.http.begun {
		return m.fail(3)
	}
	m.http = httpSession{begun: true, number: m.http.number + 1}
	return ok()
}

func httpTerm(m *Module, _ command) reply {
	if !m.http.begun {
		return m.fail(3)
	}
	m.http = httpSession{number: m.http.number + 1}
	return ok()
}

// httpPara sets one parameter. A URL may have 500 bytes (Air AT manual).
func httpPara(m *Module, c command) reply {
	if !m.http.begun {
		return m.fail(3)
	}
	if len(c.args) != 2 {
		return m.fail(50)
	}
	value := c.args[1].text
	switch strings.ToUpper(c.args[0].text) {
	case "URL":
		if len(value) > 500 || !strings.HasPrefix(value, "http://") && !strings.HasPrefix(value, "https://") {
			return m.fail(50)
		}
		m.http.url = value
	case "USER_DEFINED":
		m.http.headers = append(m.http.headers, unescape(value))
	case "CONTENT":
		m.http.content = value
	case "CID", "UA", "PROIP", "PROPORT", "REDIR", "BREAK", "BREAKEND", "TIMEOUT", "USERDATA":
	default:
		return m.fail(50)
	}
	return ok()
}

// httpData takes the body: exactly as many bytes as announced, within the time
// given.
func httpData(m *Module, c command) reply {
	if !m.http.begun {
		return m.fail(3)
	}
	size, fine := c.number(0, 0, m.p.maxHTTPData)
	limit, timed := c.number(1, 1000, 120000)
	if !fine || !timed || len(c.args) != 2 {
		return m.fail(50)
	}
	if size == 0 {
		m.http.data = nil
		return ok()
	}
	m.waitForData("\r\nDOWNLOAD\r\n", size, time.Duration(limit)*time.Millisecond, func(data []byte) {
		m.http.data = bytes.Clone(data)
		m.answer(ok(), 0)
	})
	return reply{wait: true}
}

// httpAction starts the request; the result comes as a line of its own.
func httpAction(m *Module, c command) reply {
	method, fine := c.number(0, 0, 2)
	switch {
	case !m.http.begun || m.http.active:
		return m.fail(3)
	case !fine || len(c.args) != 1:
		return m.fail(50)
	case m.http.url == "":
		return m.fail(50)
	}
	m.http.active, m.http.running, m.http.have = true, method, false
	m.http.number++
	number := m.http.number
	return reply{final: "OK", then: func() { m.request(number, method) }}
}

// request carries one request to the cloud and back: name lookup, TCP, TLS and
// the request itself make five round trips, half a one back.
func (m *Module) request(number uint64, method int) {
	wait := m.draw(m.p.wait.http) + 5*m.o.RTT
	switch f := m.faults.take(m, "http"); f.how {
	case "never":
		return
	case "status":
		m.after(wait, func() { m.httpDone(number, f.code, nil) })
		return
	case "body":
		m.after(wait, func() { m.httpDone(number, 200, []byte(f.text)) })
		return
	}
	switch {
	case !m.online() || !m.bearer.open:
		m.httpDone(number, 601, nil)
		return
	case m.faults.nameless:
		m.after(wait, func() { m.httpDone(number, 603, nil) })
		return
	}
	target, err := url.Parse(m.http.url)
	if err != nil || target.Scheme == "https" && !m.p.tls {
		m.after(wait, func() { m.httpDone(number, 605, nil) })
		return
	}
	headers := m.http.headers
	if m.http.content != "" {
		headers = append(headers, "Content-Type: "+m.http.content)
	}
	r := simcloud.Request{Method: method, URL: target, Headers: headers, Body: m.http.data}
	m.after(wait-m.o.RTT/2, func() {
		status, body := m.cloud.Serve(r)
		m.air.httpOnAir(r, status, body, m.now)
		m.after(m.o.RTT/2, func() { m.httpDone(number, status, body) })
	})
}

// httpDone reports the result, unless the session has ended meanwhile.
func (m *Module) httpDone(number uint64, status int, body []byte) {
	if m.http.number != number || !m.http.active {
		return
	}
	m.http.active, m.http.have, m.http.reply = false, true, body
	m.sendLine(fmt.Sprintf(m.p.action, m.http.running, status, len(body)))
}

// httpLost ends a request whose bearer went away.
func (m *Module) httpLost() {
	if m.http.active {
		m.httpDone(m.http.number, 601, nil)
	}
}

// httpRead prints the reply, all of it or a part.
func httpRead(m *Module, c command) reply {
	if !m.http.begun || !m.http.have || m.http.active {
		return m.fail(3)
	}
	body := m.http.reply
	if c.op == opSet {
		start, fine := c.number(0, 0, 1<<20)
		n, given := c.number(1, 1, 1<<20)
		if !fine || !given || start > len(body) {
			return m.fail(50)
		}
		body = body[start:min(len(body), start+n)]
	}
	count := len(body)
	if f := m.faults.take(m, "http-lie"); f.how != "" {
		count += f.code
	}
	return reply{final: "OK", block: &block{header: "+HTTPREAD: " + strconv.Itoa(count) + "\r\n", body: body}}
}
