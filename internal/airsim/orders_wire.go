package airsim

import (
	"time"

	"airbridged/internal/airsim/orders"
)

// lineWord is a fault of output lines by prefix.
func lineWord(name, help, example string, more ...orders.Arg) word {
	args := append([]orders.Arg{orders.Text("PREFIX")}, more...)
	return word{
		Name: name, Args: append(args, orders.When()), Help: help, Example: example,
		Do: does(func(m *Module, v orders.Values) {
			m.faults.lines = append(m.faults.lines, &rule{verb: name, prefix: v.Text("PREFIX"), delay: v.Duration("DURATION"), code: v.Int("N"), when: v.When()})
		}),
	}
}

// verbWord is a fault of commands by their verb.
func verbWord(name, help, example string, more ...orders.Arg) word {
	args := append([]orders.Arg{orders.Text("COMMAND")}, more...)
	return word{
		Name: name, Args: append(args, orders.When()), Help: help, Example: example,
		Do: does(func(m *Module, v orders.Values) {
			m.faults.verbs = append(m.faults.verbs, &rule{
				verb: name, prefix: v.Text("COMMAND"), delay: v.Duration("DURATION"), code: v.Int("CODE"), when: v.When(),
			})
		}),
	}
}

// armedWord is an order for the next occasion of a kind.
func armedWord(name, kind, help, example string, arm func(v orders.Values) arming, args ...orders.Arg) word {
	return word{
		Name: name, Args: append(args, orders.When()), Help: help, Example: example,
		Do: does(func(m *Module, v orders.Values) {
			a := arm(v)
			a.when = v.When()
			m.faults.armed[kind] = &a
		}),
	}
}

// completionWord is a fault of a line that completes a command.
func completionWord(name, help, example string, hows ...string) word {
	args := []orders.Arg{orders.Choice("how", hows...)}
	for _, how := range hows {
		if how == "late" {
			args = append(args, orders.If("how", how, orders.Duration("DURATION")))
		}
	}
	return armedWord(name, name, help, example, func(v orders.Values) arming {
		return arming{how: v.Text("how"), delay: v.Duration("DURATION")}
	}, args...)
}

// wireWords are faults of the line between host and module.
func wireWords() []word {
	const most = 1 << 20
	return []word{
		lineWord("drop", "the next line that begins so is not sent", "drop PUBACK count=2"),
		lineWord("delay", "it is sent later; others overtake it", `delay "CONNACK OK" 2s`, orders.Duration("DURATION")),
		lineWord("dup", "it is sent twice", "dup SUBACK"),
		lineWord("corrupt", "one bit of it is flipped", "corrupt OK prob=0.01 count=all"),
		lineWord("split", "it is cut somewhere and the rest comes later (default 50ms)", "split +MSUB 200ms",
			orders.Optional("DURATION", 50*time.Millisecond, orders.Duration("DURATION"))),
		lineWord("strip", "its CR LF are missing, as in firmware that forgets them", `strip "CONNECT OK"`),
		lineWord("shorten", "N bytes of it in a row are lost, the first ones, the last ones or others", "shorten +MSUB 20", orders.Int("N", 1, most)),
		{
			Name: "lose", Args: []orders.Arg{orders.Int("N", 1, most)}, Help: "the next N bytes to the host are lost", Example: "lose 3",
			Do: does(func(m *Module, v orders.Values) { m.out.lose += v.Int("N") }),
		},
		{
			Name: "lose-in", Args: []orders.Arg{orders.Int("N", 1, most)}, Help: "the next N bytes from the host are lost", Example: "lose-in 1",
			Do: does(func(m *Module, v orders.Values) { m.in.lose += v.Int("N") }),
		},
		{
			Name: "garbage", Args: []orders.Arg{orders.Int("N", 1, most)}, Help: "N random bytes are sent now", Example: "garbage 16",
			Do: does(func(m *Module, v orders.Values) {
				b := make([]byte, v.Int("N"))
				for i := range b {
					b[i] = byte(m.rng.IntN(256))
				}
				m.emit("(garbage)", b)
			}),
		},
		{
			Name: "inject", Args: []orders.Arg{orders.Text("TEXT")}, Help: "a line is sent now", Example: `inject "RING"`,
			Do: does(func(m *Module, v orders.Values) { m.sendLine(v.Text("TEXT")) }),
		},
		{
			Name: "inject-raw", Args: []orders.Arg{orders.Text("TEXT")}, Help: "bytes are sent now, with no line ends added",
			Example: `inject-raw "^boot.rom'v'!\\n"`,
			Do:      does(func(m *Module, v orders.Values) { m.emit(v.Text("TEXT"), []byte(v.Text("TEXT"))) }),
		},
		{
			Name: "line-ends", Args: []orders.Arg{orders.Choice("what", "crlf", "lf", "cr", "crcrlf")},
			Help: "what stands around every line from now on", Example: "line-ends lf",
			Do: does(func(m *Module, v orders.Values) { m.set.ends = v.Text("what") }),
		},
		{
			Name: "echo", Args: []orders.Arg{orders.Toggle()}, Help: "the echo changes by itself", Example: "echo on",
			Do: does(func(m *Module, v orders.Values) { m.set.echo = v.Has("on") }),
		},
		armedWord("echo-rejected", "echo-rejected", "a command that fails is echoed though the echo is off", "echo-rejected",
			func(orders.Values) arming { return arming{how: "echo"} }),
		armedWord("echo-cut", "echo", "a line is printed in the middle of the next echo", `echo-cut "CONNECT"`,
			func(v orders.Values) arming { return arming{how: "cut", text: v.Text("TEXT")} }, orders.Text("TEXT")),
		{
			Name: "noise", Args: []orders.Arg{orders.Toggle(), orders.Every(5 * time.Second)},
			Help: "lines that concern nobody come at all times (default every 5s)", Example: "noise on every=2s",
			Do: does(func(m *Module, v orders.Values) {
				m.faults.repeats++
				m.faults.noise = 0
				if v.Has("on") {
					m.faults.noise = v.Duration("every")
					m.noisy(m.faults.repeats)
				}
			}),
		},
	}
}

// commandWords are faults of single commands.
func commandWords() []word {
	return []word{
		verbWord("error", "the command answers +CME ERROR: CODE, or ERROR", "error AT+CGATT 100", orders.Optional("CODE", 0, orders.Int("CODE", 0, 99999))),
		verbWord("mute", "the command is swallowed without an answer", "mute AT+CSQ"),
		verbWord("late", "the command answers that much later", "late AT+CSQ 12s", orders.Duration("DURATION")),
		completionWord("ipr", "AT+IPR=n is refused; answered at the new rate already; answered and ignored; kept over a restart without AT&W; obeyed late",
			"ipr late 300ms", "fail", "early", "ignored", "kept", "late"),
	}
}
