package airsim

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"airbridged/internal/airsim/orders"
	"airbridged/internal/airsim/simcloud"
)

type word = orders.Word[*Module]

// does makes an order of what prints nothing.
func does(f func(m *Module, v orders.Values)) func(*Module, orders.Values) string {
	return orders.Does(f)
}

var spoken struct {
	once     sync.Once
	language *orders.Language[*Module]
}

// language is all that can be ordered of a module, and of the cloud behind it.
func language() *orders.Language[*Module] {
	spoken.once.Do(func() {
		ofCloud := orders.On(simcloud.Words(), func(m *Module) *simcloud.Cloud { return m.cloud })
		spoken.language = orders.New(
			wireWords(), commandWords(), powerWords(), networkWords(), httpWords(), mqttWords(), ofCloud, metaWords(), laterWords(),
		)
	})
	return spoken.language
}

// Help is the list of all that can be ordered, with a line on each.
func Help() string { return language().Help() }

// Do carries out one command of the fault and control language, the same that
// scripts and the control socket speak; "help" lists it. What it orders is in
// force when it returns.
func (m *Module) Do(command string) (string, error) {
	o, err := language().Parse(command)
	if err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	wall := time.Now()
	if m.running {
		m.advance(wall)
	}
	if wall.After(m.now) {
		m.now = wall
	}
	m.note("do %s", o.Text)
	text := o.Do(m)
	m.poke()
	return text, nil
}

// Script is a list of commands with the times at which they are carried out.
type Script = orders.Script[*Module]

// ParseScript reads one command to a line. "wait 5s" lets time pass before the
// lines behind it; "at", "every" and "on" work as ever; # begins a comment.
func ParseScript(r io.Reader) (Script, error) { return language().ParseScript(r) }

// Play starts a script: its times count from now.
func (m *Module) Play(s Script) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if wall := time.Now(); wall.After(m.now) {
		m.now = wall
	}
	for _, step := range s.Steps {
		m.anyway(step.After, func() {
			m.note("script %s", step.Order.Text)
			step.Order.Do(m)
		})
	}
	m.poke()
}

// metaWords look, and clean up.
func metaWords() []word {
	return []word{
		{
			Name: "faults", Help: "lists what is ordered and has not happened yet", Example: "faults",
			Do: func(m *Module, _ orders.Values) string { return m.ordered() },
		},
		{
			Name: "clear", Help: "forgets all that is ordered, of the module and of the cloud", Example: "clear",
			Do: does(func(m *Module, _ orders.Values) { m.clearFaults() }),
		},
		{
			Name: "counters", Help: "what was counted, as JSON", Example: "counters",
			Do: func(m *Module, _ orders.Values) string {
				text, err := json.Marshal(struct {
					Module ModuleCounters    `json:"module"`
					Cloud  simcloud.Counters `json:"cloud"`
				}{m.counters, m.cloud.Counters()})
				if err != nil {
					return err.Error()
				}
				return string(text)
			},
		},
		{Name: "help", Help: "this list", Example: "help", Do: func(*Module, orders.Values) string { return Help() }},
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
	m.cloud.ClearOrders()
}

// ordered lists what waits to happen.
func (m *Module) ordered() string {
	var lines []string
	for _, r := range append(slices.Clone(m.faults.lines), m.faults.verbs...) {
		lines = append(lines, fmt.Sprintf("%s %s (%d left)", r.verb, r.prefix, r.when.Left))
	}
	for kind, a := range m.faults.armed {
		lines = append(lines, fmt.Sprintf("%s %s (%d left)", kind, a.how, a.when.Left))
	}
	for _, h := range m.faults.waiting {
		lines = append(lines, fmt.Sprintf("on %s%s %s", h.dir, h.prefix, h.run.Text))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// laterWords carry out another order later.
func laterWords() []word {
	longer := orders.Custom("DURATION", "DURATION", func(w string) (time.Duration, error) {
		d, err := time.ParseDuration(w)
		switch {
		case err != nil:
			return 0, fmt.Errorf("DURATION is not a duration such as 500ms or 2m")
		case d <= 0:
			return 0, fmt.Errorf("DURATION is longer than 0")
		}
		return d, nil
	})
	return []word{
		{
			Name: "at", Args: []orders.Arg{orders.Duration("DURATION")}, Help: "carries the command out that much later", Example: "at 30s closed",
			Around: func(m *Module, v orders.Values, inner orders.Order[*Module]) string {
				m.anyway(v.Duration("DURATION"), func() { m.note("at %s %s", v.Duration("DURATION"), inner.Text); inner.Do(m) })
				return ""
			},
		},
		{
			Name: "every", Args: []orders.Arg{longer}, Help: "again and again until clear", Example: "every 10m kick",
			Around: func(m *Module, v orders.Values, inner orders.Order[*Module]) string {
				m.repeat(v.Duration("DURATION"), inner)
				return ""
			},
		},
		{
			Name: "on", Args: []orders.Arg{orders.Text("PATTERN"), orders.When()},
			Help:    "when a command (>), data behind a prompt (>>) or a line of the module (<) begins so, before it is worked on or after it is sent",
			Example: "on >AT+MPUB skip=3 reboot",
			Around: func(m *Module, v orders.Values, inner orders.Order[*Module]) string {
				m.faults.waiting = append(m.faults.waiting, hookOn(v.Text("PATTERN"), v.When(), inner))
				return ""
			},
		},
	}
}

// repeat carries an order out again and again, until the faults are cleared.
func (m *Module) repeat(every time.Duration, o orders.Order[*Module]) {
	generation := m.faults.repeats
	var again func()
	again = func() {
		if m.faults.repeats == generation {
			m.note("every %s %s", every, o.Text)
			o.Do(m)
			m.anyway(every, again)
		}
	}
	m.anyway(every, again)
}

// hookOn waits for a pattern: a prefix; < before it takes only lines of the module,
// > only commands of the host, >> only its data.
func hookOn(pattern string, when orders.Trigger, run orders.Order[*Module]) *hook {
	h := &hook{prefix: pattern, when: when, run: run}
	for _, dir := range []string{DirData, DirCommand, DirLine} {
		if rest, found := strings.CutPrefix(pattern, dir); found {
			h.dir, h.prefix = dir, rest
			break
		}
	}
	return h
}
