package airsim

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// language is every command but those that contain another one.
func language() []word {
	return slices.Concat(wireWords(), commandWords(), powerWords(), networkWords(), httpWords(), mqttWords(), cloudWords(), metaWords())
}

func onModule(f func(m *Module)) action {
	return action{module: func(m *Module) string { f(m); return "" }}
}

func onCloud(f func(c *Cloud)) action {
	return action{cloud: func(c *Cloud) string { f(c); return "" }}
}

// lineWord is a fault of output lines by prefix.
func lineWord(name, help, example string, delayed time.Duration, optional bool) word {
	usage := "PREFIX"
	switch {
	case optional:
		usage += " [DURATION]"
	case delayed > 0:
		usage += " DURATION"
	}
	return word{name, usage + " [count=N|all] [skip=N] [prob=P]", help, example, func(a *arguments) action {
		r := rule{verb: name, prefix: a.next("PREFIX"), delay: delayed}
		if delayed > 0 && (!optional || len(a.words) > 0) {
			r.delay = a.duration("DURATION")
		}
		r.when = a.when()
		return onModule(func(m *Module) { add := r; m.faults.lines = append(m.faults.lines, &add) })
	}}
}

func wireWords() []word {
	return []word{
		lineWord("drop", "the next line that begins so is not sent", "drop PUBACK count=2", 0, false),
		lineWord("delay", "it is sent later; others overtake it", `delay "CONNACK OK" 2s`, time.Second, false),
		lineWord("dup", "it is sent twice", "dup SUBACK", 0, false),
		lineWord("corrupt", "one bit of it is flipped", "corrupt OK prob=0.01 count=all", 0, false),
		lineWord("split", "it is cut somewhere and the rest comes later (default 50ms)", "split +MSUB 200ms", 50*time.Millisecond, true),
		lineWord("strip", "its CR LF are missing, as in firmware that forgets them", `strip "CONNECT OK"`, 0, false),
		{"lose", "N", "the next N bytes to the host are lost", "lose 3", func(a *arguments) action {
			n := a.integer("N", 1, 1<<20)
			return onModule(func(m *Module) { m.out.lose += n })
		}},
		{"lose-in", "N", "the next N bytes from the host are lost", "lose-in 1", func(a *arguments) action {
			n := a.integer("N", 1, 1<<20)
			return onModule(func(m *Module) { m.in.lose += n })
		}},
		{"garbage", "N", "N random bytes are sent now", "garbage 16", func(a *arguments) action {
			n := a.integer("N", 1, 1<<20)
			return onModule(func(m *Module) {
				b := make([]byte, n)
				for i := range b {
					b[i] = byte(m.rng.IntN(256))
				}
				m.emit("(garbage)", b)
			})
		}},
		{"inject", "TEXT", "a line is sent now", `inject "RING"`, func(a *arguments) action {
			text := a.next("TEXT")
			return onModule(func(m *Module) { m.sendLine(text) })
		}},
		{"inject-raw", "TEXT", "bytes are sent now, with no line ends added", `inject-raw "^boot.rom'v'!\\n"`, func(a *arguments) action {
			text := a.next("TEXT")
			return onModule(func(m *Module) { m.emit(text, []byte(text)) })
		}},
		{"line-ends", "crlf|lf|cr|crcrlf", "what stands around every line from now on", "line-ends lf", func(a *arguments) action {
			ends := a.choice("what", "crlf", "lf", "cr", "crcrlf")
			return onModule(func(m *Module) { m.set.ends = ends })
		}},
		{"echo", "on|off", "the echo changes by itself", "echo on", func(a *arguments) action {
			on := a.choice("on or off", "on", "off") == "on"
			return onModule(func(m *Module) { m.set.echo = on })
		}},
		{"echo-rejected", "[count=N|all]", "a command that fails is echoed though the echo is off", "echo-rejected", func(a *arguments) action {
			return arm(a, "echo-rejected", arming{how: "echo"})
		}},
		{"echo-cut", "TEXT [count=N|all]", "a line is printed in the middle of the next echo", `echo-cut "CONNECT"`, func(a *arguments) action {
			text := a.next("TEXT")
			return arm(a, "echo", arming{how: "cut", text: text})
		}},
		{"noise", "on|off [every=DURATION]", "lines that concern nobody come at all times (default every 5s)", "noise on every=2s", func(a *arguments) action {
			on := a.choice("on or off", "on", "off") == "on"
			every := a.durationOption("every", 5*time.Second)
			return onModule(func(m *Module) {
				m.faults.repeats++
				m.faults.noise = 0
				if on {
					m.faults.noise = every
					m.noisy(m.faults.repeats)
				}
			})
		}},
	}
}

// arm orders something for the next occasion of a kind.
func arm(a *arguments, kind string, order arming) action {
	order.when = a.when()
	return onModule(func(m *Module) { o := order; m.faults.armed[kind] = &o })
}

func commandWords() []word {
	rules := " [count=N|all] [skip=N] [prob=P]"
	verbRule := func(r rule) action {
		return onModule(func(m *Module) { add := r; m.faults.verbs = append(m.faults.verbs, &add) })
	}
	return []word{
		{"error", "COMMAND [CODE]" + rules, "the command answers +CME ERROR: CODE, or ERROR", "error AT+CGATT 100", func(a *arguments) action {
			r := rule{verb: "error", prefix: a.next("COMMAND")}
			if len(a.words) > 0 {
				r.code = a.integer("CODE", 0, 99999)
			}
			r.when = a.when()
			return verbRule(r)
		}},
		{"mute", "COMMAND" + rules, "the command is swallowed without an answer", "mute AT+CSQ", func(a *arguments) action {
			return verbRule(rule{verb: "mute", prefix: a.next("COMMAND"), when: a.when()})
		}},
		{"late", "COMMAND DURATION" + rules, "the command answers that much later", "late AT+CSQ 12s", func(a *arguments) action {
			return verbRule(rule{verb: "late", prefix: a.next("COMMAND"), delay: a.duration("DURATION"), when: a.when()})
		}},
		completionWord("ipr", "AT+IPR=n is refused; answered at the new rate already; answered and ignored; kept over a restart without AT&W; obeyed late",
			"ipr late 300ms", "fail", "early", "ignored", "kept", "late"),
	}
}

func powerWords() []word {
	reset := func(name, help string) word {
		return word{name, "", help, name, func(*arguments) action {
			return onModule(func(m *Module) { m.reboot(name) })
		}}
	}
	return []word{
		reset("reboot", "the module restarts without a warning; all settings are lost"),
		reset("reset", "the reset line is pulled: a restart that also ends hang and AT+CPOWD"),
		{"brown-out", "N [every=DURATION]", "it restarts N times, each time this long after the last (default 2s)", "brown-out 5 every=3s", func(a *arguments) action {
			n := a.integer("N", 1, 10000)
			every := a.durationOption("every", 2*time.Second)
			return onModule(func(m *Module) {
				m.faults.brownouts.left, m.faults.brownouts.every = n-1, every
				m.reboot("brown-out")
			})
		}},
		{"silence", "DURATION", "it takes no command and prints nothing for so long", "silence 30s", func(a *arguments) action {
			d := a.duration("DURATION")
			return onModule(func(m *Module) { m.hang(d) })
		}},
		{"hang", "", "it takes no command and prints nothing until it is reset", "hang", func(*arguments) action {
			return onModule(func(m *Module) { m.hang(0) })
		}},
		{"power-off", "", "it loses its power until reset", "power-off", func(*arguments) action {
			return onModule(func(m *Module) { m.powerOff("power-off") })
		}},
		{"stall", "DURATION", "nothing is read from the line for so long: the host's writes block", "stall 10s", func(a *arguments) action {
			d := a.duration("DURATION")
			return onModule(func(m *Module) {
				m.stall(true)
				m.anyway(d, func() { m.stall(false) })
			})
		}},
		{"unplug", "[DURATION] [hangup]", "the host's end of the line fails with EIO, and a new one comes after that long (default 1s); hangup: reads in memory end with EOF first, as after a hang-up", "unplug 3s", func(a *arguments) action {
			d := time.Second
			if len(a.words) > 0 && a.words[0] != "hangup" {
				d = a.duration("DURATION")
			}
			why := error(syscall.EIO)
			if a.choice("hangup", "", "hangup") != "" {
				why = io.EOF
			}
			return onModule(func(m *Module) { m.unplug(d, why) })
		}},
		{"baud", "RATE [saved]", "the module's line now runs at this rate (0: it finds it out); saved: after a restart too", "baud 9600", func(a *arguments) action {
			n := a.integer("RATE", 0, 4_000_000)
			if n != 0 && !usualRate(n) {
				a.fail("RATE is one of %s", strings.Trim(fmt.Sprint(rates), "[]"))
			}
			saved := a.choice("saved", "", "saved") != ""
			return onModule(func(m *Module) {
				m.setRate(n)
				if saved {
					m.saved.rate = n
				}
			})
		}},
		{"garble-above", "RATE [prob=P]", "on a line faster than this, bytes of both directions are damaged, each with this probability (default 1)", "garble-above 460800 prob=0.01", func(a *arguments) action {
			n := a.integer("RATE", 0, 4_000_000)
			prob := a.when().prob
			return onModule(func(m *Module) { m.faults.garble.above, m.faults.garble.prob = n, prob })
		}},
		{"train", "N", "autobaud begins again, and lets N upper-case ATs pass before it answers", "train 3", func(a *arguments) action {
			n := a.integer("N", 0, 1000)
			return onModule(func(m *Module) {
				if m.set.rate == 0 {
					m.in.trained, m.in.trains = false, n
				}
			})
		}},
	}
}

func networkWords() []word {
	return []word{
		{"csq", "N", "the signal is N (0-31, 99 unknown)", "csq 5", func(a *arguments) action {
			n := a.integer("N", 0, 99)
			return onModule(func(m *Module) { m.radio.csq = n })
		}},
		{"network-time", "unset|OFFSET", "the network tells no time, or one that is so far off", "network-time -90m", func(a *arguments) action {
			text := a.next("OFFSET")
			off, err := time.ParseDuration(text)
			if text != "unset" && err != nil {
				a.fail("OFFSET is unset or a duration such as 0s or -90m")
			}
			return onModule(func(m *Module) { m.radio.clockUnset, m.radio.clockOff = text == "unset", off })
		}},
		{"sim", "removed|inserted|pin", "the card is pulled, put in, or wants its PIN", "sim removed", func(a *arguments) action {
			how := a.choice("what", "removed", "inserted", "pin")
			return onModule(func(m *Module) {
				switch how {
				case "removed":
					m.simRemoved()
				case "inserted":
					m.simInserted()
				default:
					m.radio.simPIN, m.radio.simReady = true, false
				}
			})
		}},
		{"service", "lost|back", "the network goes, and comes back", "service lost", func(a *arguments) action {
			lost := a.choice("lost or back", "lost", "back") == "lost"
			return onModule(func(m *Module) {
				if lost {
					m.serviceLost()
				} else {
					m.serviceBack()
				}
			})
		}},
		{"dns", "lost|back", "the network's name servers answer nothing: CONNECT FAIL, and HTTP status 603", "dns lost", func(a *arguments) action {
			lost := a.choice("lost or back", "lost", "back") == "lost"
			return onModule(func(m *Module) { m.faults.nameless = lost })
		}},
		{"attach", "never [count=N|all]", "the next attempt to attach fails", "attach never", func(a *arguments) action {
			return arm(a, "attach", arming{how: a.choice("never", "never")})
		}},
		{"detach", "", "the network detaches the module: CGATT becomes 0", "detach", func(*arguments) action {
			return onModule(func(m *Module) {
				m.radio.attached = false
				m.bearer.open, m.bearer.ip = false, false
				m.dropLink("detached by the network")
			})
		}},
		{"pdp-deact", "colon|plain|cgev [stuck]", "the context is lost: +PDP: DEACT, +PDP DEACT or +CGEV: NW PDN DEACT 1; stuck: only CFUN, CGACT or a reset brings it back", "pdp-deact colon", func(a *arguments) action {
			spelling := a.choice("spelling", "colon", "plain", "cgev")
			stuck := a.choice("stuck", "", "stuck") != ""
			return onModule(func(m *Module) { m.pdpLost(spelling, stuck) })
		}},
		{"sapbr-deact", "", "the HTTP bearer is lost: +SAPBR 1: DEACT", "sapbr-deact", func(*arguments) action {
			return onModule(func(m *Module) { m.sapbrLost() })
		}},
		{"bearer", "fail|never [count=N|all]", "AT+SAPBR=1,1 fails, or never answers", "bearer fail", func(a *arguments) action {
			return arm(a, "bearer", arming{how: a.choice("how", "fail", "never")})
		}},
	}
}

func httpWords() []word {
	return []word{
		{"http-status", "N [count=N|all]", "HTTPACTION ends with status N, such as 601 to 606", "http-status 603 count=2", func(a *arguments) action {
			return arm(a, "http", arming{how: "status", code: a.integer("N", 100, 999)})
		}},
		{"http-never", "[count=N|all]", "HTTPACTION answers OK and nothing more", "http-never", func(a *arguments) action {
			return arm(a, "http", arming{how: "never"})
		}},
		{"http-body", "TEXT [count=N|all]", "HTTPACTION ends with status 200 and this body", `http-body "{\"code\":200,\r\n\"data\":null}"`, func(a *arguments) action {
			return arm(a, "http", arming{how: "body", text: a.next("TEXT")})
		}},
		{"http-lie", "N [count=N|all]", "the next HTTPREAD announces N bytes more than it carries", "http-lie 9", func(a *arguments) action {
			n := a.integer("N", -4096, 4096)
			return arm(a, "http-lie", arming{how: "count " + strconv.Itoa(n), code: n})
		}},
	}
}

// completionWord is a fault of a line that completes a command.
func completionWord(name, help, example string, hows ...string) word {
	usage := strings.Join(hows, "|") + " [DURATION if late] [count=N|all] [skip=N] [prob=P]"
	return word{name, usage, help, example, func(a *arguments) action {
		o := arming{how: a.choice("how", hows...)}
		if o.how == "late" {
			o.delay = a.duration("DURATION")
		}
		return arm(a, name, o)
	}}
}

func mqttWords() []word {
	link := func(name, help string, f func(m *Module)) word {
		return word{name, "", help, name, func(*arguments) action { return onModule(f) }}
	}
	return []word{
		link("closed", "the MQTT connection is cut and the module prints CLOSED", func(m *Module) { m.dropLink("cut by order") }),
		link("silent-closed", "the same, but CLOSED is not printed: only MQTTSTATU tells", func(m *Module) { m.dropLinkSilently() }),
		link("half-open", "the path is dead and nobody knows: MQTTSTATU still says 1, until 1.5 keep-alive periods are over", func(m *Module) { m.deadLink() }),
		completionWord("connect", "MIPSTART answers OK and then CONNECT FAIL, or nothing", "connect fail count=3", "fail", "never"),
		completionWord("connack", "the login is refused as the firmware shows it, refused by OK and CLOSED, never answered, or late", "connack refuse", "refuse", "close", "never", "late"),
		completionWord("suback", "SUBACK does not come, comes late, comes twice", "suback late 40s", "never", "late", "dup"),
		completionWord("unsuback", "the same for UNSUBACK", "unsuback never", "never", "late", "dup"),
		completionWord("puback", "the same for PUBACK; the message did reach the cloud", "puback late 45s", "never", "late", "dup"),
		completionWord("prompt", "the > of MPUBEX or DOWNLOAD is not printed though data is awaited, or late", "prompt never", "never", "late"),
		{"msub-lie", "N [count=N|all]", "the next +MSUB announces N bytes more than it carries", "msub-lie 5", func(a *arguments) action {
			n := a.integer("N", -4096, 4096)
			return arm(a, "msub-lie", arming{how: "count " + strconv.Itoa(n), code: n})
		}},
		{"msub-form", "FORM", "the form of the +MSUB header: " + strings.Join(msubFormNames(), ", "), "msub-form unquoted", func(a *arguments) action {
			form := a.choice("FORM", msubFormNames()...)
			return onModule(func(m *Module) { m.set.sub = form })
		}},
	}
}

func msubFormNames() []string {
	var names []string
	for n := range msubForms {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
