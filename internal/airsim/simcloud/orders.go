package simcloud

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"airbridged/internal/airsim/orders"
)

type word = orders.Word[*Cloud]

// does makes an order of what is done under the cloud's lock and prints nothing.
func does(f func(c *Cloud, v orders.Values)) func(*Cloud, orders.Values) string {
	return func(c *Cloud, v orders.Values) string {
		c.mu.Lock()
		defer c.mu.Unlock()
		f(c, v)
		return ""
	}
}

// Do carries out an order that concerns the cloud alone.
func (c *Cloud) Do(command string) (string, error) {
	o, err := orders.New(Words()).Parse(command)
	if err != nil {
		return "", fmt.Errorf("%w; what concerns a module, give to the module", err)
	}
	return o.Do(c), nil
}

// ClearOrders forgets all that was ordered.
func (c *Cloud) ClearOrders() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = faults{}
}

// Words is all that can be ordered of the cloud.
func Words() []orders.Word[*Cloud] {
	code := func(name, help string, of func(c *Cloud) **refusal) word {
		return word{
			Name: name, Args: []orders.Arg{orders.Int("CODE", 1, 99999), orders.When()}, Help: help, Example: name + " 429",
			Do: does(func(c *Cloud, v orders.Values) { *of(c) = &refusal{code: v.Int("CODE"), when: v.When()} }),
		}
	}
	toggle := func(name, help string, set func(c *Cloud, on bool)) word {
		return word{
			Name: name, Args: []orders.Arg{orders.Toggle()}, Help: help, Example: name + " on",
			Do: does(func(c *Cloud, v orders.Values) { set(c, v.Has("on")) }),
		}
	}
	offset := orders.Custom("OFFSET", "silent|OFFSET", func(w string) (string, error) {
		if _, err := time.ParseDuration(w); w != "silent" && err != nil {
			return "", errors.New("OFFSET is silent or a duration such as 0s or -8h")
		}
		return w, nil
	})
	return append([]word{
		code("register", "the next registration is answered with this code", func(c *Cloud) **refusal { return &c.faults.register }),
		code("auth", "the next authentication is answered with this code", func(c *Cloud) **refusal { return &c.faults.auth }),
		toggle("registration", "the product's switch for dynamic registration", func(c *Cloud, on bool) { c.faults.registrationOff = !on }),
		{
			Name: "cloud-time", Args: []orders.Arg{offset}, Help: "what /ext/ntp/KEY/NAME/request is answered: nothing, or a time that is so far off", Example: "cloud-time -8h",
			Do: does(func(c *Cloud, v orders.Values) {
				off, _ := time.ParseDuration(v.Text("OFFSET")) // 0 where nothing is told
				c.faults.timeless, c.faults.timeOff = v.Text("OFFSET") == "silent", off
			}),
		},
		toggle("outage", "the cloud is away: sessions end, names do not resolve, logins are refused", func(c *Cloud, on bool) {
			c.faults.outage = on
			if on {
				c.endSessions()
			}
		}),
		{
			Name: "forbidden", Args: []orders.Arg{orders.Choice("what", "ack", "close")},
			Help:    "what a message to another device's topic leads to: a PUBACK and nothing more, or the end of the session",
			Example: "forbidden close",
			Do:      does(func(c *Cloud, v orders.Values) { c.faults.forbiddenCloses = v.Text("what") == "close" }),
		},
		{
			Name: "throttle", Args: []orders.Arg{orders.Int("N", 0, 1_000_000)},
			Help:    "more than N messages a second of one device are dropped without PUBACK (0: those over its quota)",
			Example: "throttle 10",
			Do:      does(func(c *Cloud, v orders.Values) { c.faults.throttle = v.Int("N") }),
		},
		{
			Name: "connects", Args: []orders.Arg{orders.Int("N", 0, 1_000_000)},
			Help: "how many CONNECTs a minute of one device are taken (0: no limit)", Example: "connects 5",
			Do: does(func(c *Cloud, v orders.Values) {
				c.o.ConnectsPerMinute = v.Int("N")
				if v.Int("N") == 0 {
					c.o.ConnectsPerMinute = -1
				}
			}),
		},
		{
			Name: "close", Help: "the cloud closes every MQTT session", Example: "close",
			Do: does(func(c *Cloud, _ orders.Values) { c.endSessions() }),
		},
		{
			Name: "expire-tokens", Help: "every iotToken is invalid from now on", Example: "expire-tokens",
			Do: does(func(c *Cloud, _ orders.Values) {
				for _, t := range c.tokens {
					t.expires = time.Now().Add(-time.Second)
				}
			}),
		},
		{
			Name: "push", Args: []orders.Arg{orders.Text("TOPIC"), orders.Text("PAYLOAD"), orders.OneOf("qos", "0", "1")},
			Help: "a message is sent down", Example: `push /b1KCi45LcCP/862991419835241/get "hello"`,
			Do: func(c *Cloud, v orders.Values) string {
				qos := byte(0)
				if v.Text("qos") == "1" {
					qos = 1
				}
				return "devices: " + strconv.Itoa(c.Push(v.Text("TOPIC"), qos, []byte(v.Text("PAYLOAD"))))
			},
		},
	}, deviceWords()...)
}

// deviceWords concern one device, or all that the cloud has seen.
func deviceWords() []word {
	each := func(name, help string, f func(c *Cloud, d *device)) word {
		return word{
			Name: name, Args: []orders.Arg{orders.Optional("DEVICE", "", orders.Text("DEVICE"))}, Help: help, Example: name,
			Do: does(func(c *Cloud, v orders.Values) {
				for _, d := range c.sorted() {
					if want := v.Text("DEVICE"); want == "" || d.name == want {
						f(c, d)
					}
				}
			}),
		}
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
