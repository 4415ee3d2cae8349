package airsim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

func cloudWords() []word {
	code := func(name, help string, set func(c *Cloud, o *order)) word {
		return word{name, "CODE [count=N|all]", help, name + " 429", func(a *arguments) action {
			o := order{code: a.integer("CODE", 1, 99999), when: a.when()}
			return onCloud(func(c *Cloud) { add := o; set(c, &add) })
		}}
	}
	toggle := func(name, help string, set func(c *Cloud, on bool)) word {
		return word{name, "on|off", help, name + " on", func(a *arguments) action {
			on := a.choice("on or off", "on", "off") == "on"
			return onCloud(func(c *Cloud) { set(c, on) })
		}}
	}
	return append([]word{
		code("register", "the next registration is answered with this code", func(c *Cloud, o *order) { c.orders.register = o }),
		code("auth", "the next authentication is answered with this code", func(c *Cloud, o *order) { c.orders.auth = o }),
		toggle("registration", "the product's switch for dynamic registration", func(c *Cloud, on bool) { c.orders.registrationOff = !on }),
		toggle("outage", "the cloud is away: sessions end, names do not resolve, logins are refused", func(c *Cloud, on bool) {
			c.orders.outage = on
			if on {
				c.endSessions()
			}
		}),
		{"forbidden", "ack|close", "what a message to another device's topic leads to: a PUBACK and nothing more, or the end of the session", "forbidden close", func(a *arguments) action {
			closes := a.choice("what", "ack", "close") == "close"
			return onCloud(func(c *Cloud) { c.orders.forbiddenCloses = closes })
		}},
		{"throttle", "N", "more than N messages a second of one device are dropped without PUBACK (0: no limit)", "throttle 10", func(a *arguments) action {
			n := a.integer("N", 0, 1_000_000)
			return onCloud(func(c *Cloud) { c.orders.throttle = n })
		}},
		{"connects", "N", "how many CONNECTs a minute of one device are taken (0: no limit)", "connects 5", func(a *arguments) action {
			n := a.integer("N", 0, 1_000_000)
			if n == 0 {
				n = -1
			}
			return onCloud(func(c *Cloud) { c.o.ConnectsPerMinute = n })
		}},
		{"close", "", "the cloud closes every MQTT session", "close", func(*arguments) action {
			return onCloud(func(c *Cloud) { c.endSessions() })
		}},
		{"expire-tokens", "", "every iotToken is invalid from now on", "expire-tokens", func(*arguments) action {
			return onCloud(func(c *Cloud) {
				for _, t := range c.tokens {
					t.expires = time.Now().Add(-time.Second)
				}
			})
		}},
		{"push", "TOPIC PAYLOAD [qos=0|1]", "a message is sent down", `push /b1KCi45LcCP/862991419835241/get "hello"`, func(a *arguments) action {
			topic, payload := a.next("TOPIC"), a.next("PAYLOAD")
			qos, err := strconv.Atoi(a.option("qos", "0"))
			if err != nil || qos < 0 || qos > 1 {
				a.fail("qos is 0 or 1")
			}
			return action{cloud: func(c *Cloud) string {
				return "devices: " + strconv.Itoa(c.push(topic, byte(qos), []byte(payload)))
			}}
		}},
	}, deviceWords()...)
}

// deviceWords concern one device, or all that the cloud has seen.
func deviceWords() []word {
	each := func(name, help string, f func(c *Cloud, d *device)) word {
		return word{name, "[DEVICE]", help, name, func(a *arguments) action {
			want := ""
			if len(a.words) > 0 {
				want = a.next("DEVICE")
			}
			return onCloud(func(c *Cloud) {
				for _, d := range c.sorted() {
					if want == "" || d.name == want {
						f(c, d)
					}
				}
			})
		}}
	}
	return []word{
		each("kick", "a twin with the same identity connects: /ext/notify, then CLOSED", func(c *Cloud, d *device) {
			if l := c.live(d); l != nil {
				d.connects = append(d.connects, time.Now())
				c.kick(l)
			}
		}),
		each("rotate-secret", "the cloud's DeviceSecret changes: the stored one is refused", func(c *Cloud, d *device) {
			d.secret = c.made(d.name+"&"+d.key+d.secret, 1, 32)
			for id, t := range c.tokens {
				if t.device == d {
					delete(c.tokens, id)
				}
			}
		}),
		each("recreate", "the device is deleted and made again: it can register once more", func(c *Cloud, d *device) {
			if d.link != nil {
				c.end(d.link)
			}
			d.active, d.given, d.connects = false, false, nil
		}),
		each("disable", "the device is disabled: its session ends and every request is refused", func(c *Cloud, d *device) {
			d.disabled = true
			if d.link != nil {
				c.end(d.link)
			}
		}),
		each("enable", "the opposite", func(_ *Cloud, d *device) { d.disabled = false }),
	}
}

// endSessions closes every session.
func (c *Cloud) endSessions() {
	for _, d := range c.sorted() {
		if d.link != nil {
			c.end(d.link)
		}
	}
}

// metaWords look, and clean up.
func metaWords() []word {
	return []word{
		{"faults", "", "lists what is ordered and has not happened yet", "faults", func(*arguments) action {
			return action{module: func(m *Module) string { return m.ordered() }}
		}},
		{"clear", "", "forgets all that is ordered, of the module and of the cloud", "clear", func(*arguments) action {
			return onModule(func(m *Module) { m.clearFaults() })
		}},
		{"counters", "", "what was counted, as JSON", "counters", func(*arguments) action {
			return action{module: func(m *Module) string {
				text, err := json.Marshal(struct {
					Module ModuleCounters `json:"module"`
					Cloud  CloudCounters  `json:"cloud"`
				}{m.counters, m.cloud.Counters()})
				if err != nil {
					return err.Error()
				}
				return string(text)
			}}
		}},
		{"help", "", "this list", "help", func(*arguments) action {
			return action{cloud: func(*Cloud) string { return Help() }}
		}},
	}
}

// clearFaults forgets every order. A module that hangs, is off or is unplugged
// stays so.
func (m *Module) clearFaults() {
	old := m.faults
	m.faults = newFaultState()
	m.faults.hung, m.faults.absentTo, m.faults.repeats = old.hung, old.absentTo, old.repeats+1
	m.in.lose, m.out.lose = 0, 0
	m.stall(false)
	m.cloud.mu.Lock()
	defer m.cloud.mu.Unlock()
	m.cloud.orders = cloudOrders{}
}

// ordered lists what waits to happen.
func (m *Module) ordered() string {
	var lines []string
	for _, r := range append(slices.Clone(m.faults.lines), m.faults.verbs...) {
		lines = append(lines, fmt.Sprintf("%s %s (%d left)", r.verb, r.prefix, r.when.left))
	}
	for kind, a := range m.faults.armed {
		lines = append(lines, fmt.Sprintf("%s %s (%d left)", kind, a.how, a.when.left))
	}
	for _, h := range m.faults.waiting {
		lines = append(lines, fmt.Sprintf("on %s%s %s", h.dir, h.prefix, h.run.text))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// nesting is the commands that contain another one.
func nesting() map[string]func(words []string) (action, error) {
	return map[string]func([]string) (action, error){"at": parseAt, "every": parseEvery, "on": parseOn}
}

// parseAt reads at DURATION COMMAND.
func parseAt(words []string) (action, error) {
	a := split(words[:min(1, len(words))])
	d := a.duration("DURATION")
	if a.err != nil {
		return action{}, a.err
	}
	do, err := parseWords(words[1:])
	return onModule(func(m *Module) { m.anyway(d, func() { m.note("at %s %s", d, do.text); m.act(do) }) }), err
}

// parseEvery reads every DURATION COMMAND: again and again until clear.
func parseEvery(words []string) (action, error) {
	a := split(words[:min(1, len(words))])
	d := a.duration("DURATION")
	if a.err == nil && d <= 0 {
		a.fail("DURATION is longer than 0")
	}
	if a.err != nil {
		return action{}, a.err
	}
	do, err := parseWords(words[1:])
	return onModule(func(m *Module) {
		generation := m.faults.repeats
		var again func()
		again = func() {
			if m.faults.repeats == generation {
				m.note("every %s %s", d, do.text)
				m.act(do)
				m.anyway(d, again)
			}
		}
		m.anyway(d, again)
	}), err
}

// parseOn reads on PATTERN [count=..] COMMAND. The pattern is a prefix; < before
// it takes only lines of the module, > only commands of the host, >> only its
// data.
func parseOn(words []string) (action, error) {
	n := min(1, len(words))
	for n > 0 && n < len(words) && isOption(words[n]) {
		n++
	}
	a := split(words[:n])
	h := hook{prefix: a.next("PATTERN")}
	for _, dir := range []string{DirData, DirCommand, DirLine} {
		if rest, found := strings.CutPrefix(h.prefix, dir); found {
			h.dir, h.prefix = dir, rest
			break
		}
	}
	h.when = a.when()
	if a.err != nil {
		return action{}, a.err
	}
	var err error
	h.run, err = parseWords(words[n:])
	return onModule(func(m *Module) { add := h; m.faults.waiting = append(m.faults.waiting, &add) }), err
}

func isOption(w string) bool {
	name, _, found := strings.Cut(w, "=")
	return found && slices.Contains(optionNames, name)
}

// Help is the list of all commands with a line on each.
func Help() string {
	var b strings.Builder
	for _, w := range language() {
		fmt.Fprintf(&b, "%s\n    %s. Example: %s\n", strings.TrimSpace(w.name+" "+w.usage), w.help, w.example)
	}
	b.WriteString(`at DURATION COMMAND
    carries the command out that much later. Example: at 30s closed
every DURATION COMMAND
    again and again until clear. Example: every 10m kick
on PATTERN [count=N|all] [skip=N] [prob=P] COMMAND
    when a command (>), data behind a prompt (>>) or a line of the module (<) begins so, before it is worked on or after it is sent. Example: on >AT+MPUB skip=3 reboot
count is how many occasions are taken (default 1), skip how many pass before, prob with what probability.
`)
	return b.String()
}
