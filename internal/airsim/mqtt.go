package airsim

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"airbridged/internal/airsim/simcloud"
)

// What AT+MQTTSTATU tells.
const (
	mqttOffline = 0
	mqttOnline  = 1
	mqttTCP     = 2
)

// preConnect is how long the cloud keeps a connection that has not logged in.
// Brokers close at 5 s; a login 3.1 s after CONNECT OK was still accepted
// (vendor log).
const preConnect = 5 * time.Second

// mqttSession is the one MQTT connection of the module.
type mqttSession struct {
	configured               bool
	clientID, user, password string
	state                    int
	connecting               bool
	login                    bool // CONNECT is under way
	pending                  bool // and the final result of MCONNECT waits for it
	lastUp, lastDown         time.Time
	link                     *simcloud.Link
	keepalive                time.Duration
	flow                     *flow     // the connection's packets; nil: there is none
	said                     time.Time // when the module last sent an MQTT packet
	slots                    [4]*slot
	nextSlot                 int
}

// slot holds one message in cached mode.
type slot struct {
	topic   string
	payload []byte
}

func mqttVerbs() map[string]verb {
	return map[string]verb{
		"+MCONFIG":     {run: mconfig, test: "+MCONFIG: <clientid>[,<username>,<password>[,<will_qos>,<will_retain>,<will_topic>,<will_message>]]", allow: "sq"},
		"+MIPSTART":    {run: mipstart(false), test: "+MIPSTART: <svraddr>,<port>", allow: "s"},
		"+SSLMIPSTART": {run: mipstart(true), test: "+SSLMIPSTART: <svraddr>,<port>", allow: "s"},
		"+MCONNECT":    {run: mconnect, test: "+MCONNECT: (0,1),(1-65535)", allow: "s"},
		"+MSUB":        {run: msub, test: "+MSUB: <topic>,(0-2)", allow: "s"},
		"+MUNSUB":      {run: munsub, test: "+MUNSUB: <topic>", allow: "s"},
		"+MPUB":        {run: mpub, test: "+MPUB: <topic>,(0-2),(0,1),<message>", allow: "s"},
		"+MPUBEX":      {run: mpubex, test: "+MPUBEX: <topic>,(0-2),(0,1)[,(1-4100)]", allow: "s"},
		"+MQTTMSGSET":  {run: mqttmsgset, test: "+MQTTMSGSET: (0,1)", allow: "sq"},
		"+MQTTMSGGET":  {run: mqttmsgget, allow: "rq"},
		"+MQTTMODE":    {run: mqttmode, test: "+MQTTMODE: (0,1)", allow: "sq"},
		"+MQTTSTATU": {run: func(m *Module, _ command) reply {
			return ok("+MQTTSTATU :" + strconv.Itoa(m.mqtt.state))
		}, allow: "rq"},
		"+MDISCONNECT": {run: mdisconnect, allow: "r"},
		"+MIPCLOSE":    {run: mipclose, allow: "r"},
	}
}

// misuse answers an MQTT command in the wrong state: 767, operation failed.
func (m *Module) misuse() reply {
	if m.p.mqttCME {
		return m.fail(767)
	}
	return plainError()
}

// mconfig stores the login. Each of the three may have 256 bytes.
func mconfig(m *Module, c command) reply {
	if c.op == opRead {
		return ok(fmt.Sprintf(`+MCONFIG: "%s","%s","%s"`, m.mqtt.clientID, m.mqtt.user, m.mqtt.password))
	}
	if n := len(c.args); n != 1 && n != 3 && n != 7 || c.args[0].text == "" {
		return m.fail(50)
	}
	for _, a := range c.args[:min(3, len(c.args))] {
		if len(a.text) > 256 {
			return m.fail(765)
		}
	}
	m.mqtt.clientID, m.mqtt.user, m.mqtt.password = c.args[0].text, "", ""
	if len(c.args) >= 3 {
		if !m.p.emptyUser && (c.args[1].text == "" || c.args[2].text == "") {
			return m.fail(765)
		}
		m.mqtt.user, m.mqtt.password = c.args[1].text, c.args[2].text
	}
	m.mqtt.configured = true
	return ok()
}

// mqttmsgset chooses whether messages are printed when they come (0) or kept in
// four slots (1).
func mqttmsgset(m *Module, c command) reply {
	if c.op == opRead {
		return ok("+MQTTMSGSET: " + bit(m.set.cached))
	}
	n, fine := c.number(0, 0, 1)
	if !fine {
		return m.fail(50)
	}
	m.set.cached = n == 1
	return ok()
}

func mqttmode(m *Module, c command) reply {
	if c.op == opRead {
		return ok("+MQTTMODE: " + bit(m.set.hex))
	}
	n, fine := c.number(0, 0, 1)
	if !fine {
		return m.fail(50)
	}
	m.set.hex = n == 1
	return ok()
}

func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// mqttmsgget lists the slots, or prints and empties them.
func mqttmsgget(m *Module, c command) reply {
	var lines []string
	for i, s := range m.mqtt.slots {
		if c.op == opRead {
			lines = append(lines, fmt.Sprintf("+MQTTMSGGET: %d,%s", i, map[bool]string{true: "VALID", false: "INVALID"}[s != nil]))
			continue
		}
		if s != nil {
			lines = append(lines, m.message(s.topic, s.payload))
			m.mqtt.slots[i] = nil
		}
	}
	return ok(lines...)
}

// message is a received message as it is printed: the count is that of the
// payload's bytes, in hex mode before encoding (field log of an Air780EG).
func (m *Module) message(topic string, payload []byte) string {
	text := string(payload)
	if m.set.hex {
		text = strings.ToUpper(hex.EncodeToString(payload))
		if m.set.sub == "quotedhex" {
			text = `"` + text + `"`
		}
	}
	count := len(payload)
	if f := m.faults.take(m, "msub-lie"); f.how != "" {
		count += f.code
	}
	return fmt.Sprintf(msubForms[m.set.sub], topic, count) + text
}

// received is a message from the cloud.
func (m *Module) received(topic string, payload []byte) {
	m.counters.Downlinks++
	if !m.set.cached {
		m.sendBlock(m.message(topic, payload), nil)
		return
	}
	n := m.mqtt.nextSlot
	m.mqtt.nextSlot = (n + 1) % len(m.mqtt.slots)
	if m.mqtt.slots[n] != nil {
		m.counters.SlotsLost++
	}
	m.mqtt.slots[n] = &slot{topic: topic, payload: payload}
	m.sendLine("+MSUB: " + strconv.Itoa(n))
}

// unescape decodes the four escapes of a quoted message: a quote, CR, LF and the
// backslash itself. All else stands for itself (Air AT manual, MPUB).
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\22`, `"`, `\0D`, "\r", `\0A`, "\n", `\5C`, `\`).Replace(s)
}

// publication checks topic, QoS and retain of MPUB and MPUBEX. The cloud has no
// QoS 2, and the module says so itself.
func (m *Module) publication(c command) (topic string, qos byte, fine bool) {
	if len(c.args) < 3 {
		return "", 0, false
	}
	topic = c.args[0].text
	q, okQoS := c.number(1, 0, 1)
	_, okRetain := c.number(2, 0, 1)
	return topic, byte(q), okQoS && okRetain && topic != "" && len(topic) <= 256
}

func mpub(m *Module, c command) reply {
	topic, qos, fine := m.publication(c)
	if !fine || len(c.args) != 4 || !c.args[3].quoted || len(c.args[3].text) > m.p.maxPayload {
		return plainError()
	}
	payload := []byte(unescape(c.args[3].text))
	if m.set.hex {
		var err error
		if payload, err = hex.DecodeString(c.args[3].text); err != nil {
			return plainError()
		}
	}
	if m.mqtt.state != mqttOnline {
		return m.misuse()
	}
	return m.publish(topic, qos, payload)
}

// mpubex takes the payload raw, behind a prompt.
func mpubex(m *Module, c command) reply {
	topic, qos, fine := m.publication(c)
	if !fine || len(c.args) > 4 {
		return m.fail(50)
	}
	want := -1
	if len(c.args) == 4 {
		if want, fine = c.number(3, 1, m.p.maxPayload); !fine {
			return m.fail(50)
		}
	}
	if m.mqtt.state != mqttOnline {
		return m.misuse()
	}
	m.waitForData(m.p.prompt, want, 20*time.Second, func(data []byte) {
		if m.mqtt.state != mqttOnline {
			m.answer(m.misuse(), 0)
			return
		}
		m.answer(m.publish(topic, qos, append([]byte(nil), data...)), 0)
	})
	return pending()
}
