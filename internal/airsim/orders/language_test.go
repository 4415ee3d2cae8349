package orders

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// speech is a language whose orders say what they were given.
func speech() *Language[*[]string] {
	said := func(format string, names ...string) func(*[]string, Values) string {
		return Does(func(to *[]string, v Values) {
			var values []any
			for _, name := range names {
				values = append(values, v.of[name])
			}
			*to = append(*to, fmt.Sprintf(format, values...))
		})
	}
	return New([]Word[*[]string]{
		{Name: "plain", Example: "plain", Do: said("plain")},
		{Name: "number", Args: []Arg{Int("N", 1, 9), OneOf("qos", "0", "1")}, Example: "number 3", Do: said("number %d %s", "N", "qos")},
		{Name: "pause", Args: []Arg{Optional("DURATION", time.Second, Duration("DURATION")), Flag("long")}, Example: "pause", Do: said("pause %v %v", "DURATION", "long")},
		{Name: "end", Args: []Arg{Choice("how", "never", "late"), If("how", "late", Duration("DURATION")), When()}, Example: "end never", Do: said("end %v %v", "how", "DURATION")},
		{Name: "switch", Args: []Arg{Toggle(), Every(2 * time.Second)}, Example: "switch on", Do: said("switch %v %v", "on", "every")},
		{
			Name: "after", Args: []Arg{Text("PATTERN"), When()}, Example: "after x plain",
			Around: func(to *[]string, v Values, inner Order[*[]string]) string {
				*to = append(*to, fmt.Sprintf("after %s %+v: %s", v.Text("PATTERN"), v.When(), inner.Text))
				return inner.Do(to)
			},
		},
	})
}

// What a word declares is what it takes, and what its usage says.
func TestOrders(t *testing.T) {
	for _, c := range []struct{ text, done string }{
		{"plain # and nothing more", "plain"},
		{"number 3", "number 3 0"},
		{"number qos=1 9", "number 9 1"},
		{"pause", "pause 1s <nil>"},
		{"pause 3s long", "pause 3s true"},
		{"pause long", "pause 1s true"},
		{"end never count=all", "end never <nil>"},
		{"end late 40s", "end late 40s"},
		{"switch off every=5s", "switch false 5s"},
		{`after "a b" count=2 skip=1 number 3 qos=1`, "after a b {Left:2 Skip:1 Prob:1}: number 3 qos=1; number 3 1"},
		{"after x=y plain", "after x=y {Left:1 Skip:0 Prob:1}: plain; plain"},
	} {
		var done []string
		o, err := speech().Parse(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		o.Do(&done)
		if got := strings.Join(done, "; "); got != c.done {
			t.Errorf("%s: did %q, want %q", c.text, got, c.done)
		}
	}
	for text, want := range map[string]string{
		"":                     "empty command",
		"plane":                `unknown command "plane"`,
		"plain 1":              `"1" is too much (usage: plain)`,
		"number":               "N is missing (usage: number N [qos=0|1])",
		"number 10":            "N is not a number from 1 to 9",
		"number 3 qos=2":       "qos is 0 or 1",
		"number 3 count=2":     "it has no option count",
		"pause short":          "DURATION is not a duration such as 500ms or 2m (usage: pause [DURATION] [long])",
		"end late":             "DURATION is missing (usage: end never|late [DURATION if late] [count=N|all] [skip=N] [prob=P])",
		"end soon":             `how is "soon"; it is one of never, late`,
		"end never count=0":    "count is a number from 1, or all",
		"end never prob=2":     "prob is a number from 0 to 1",
		"switch maybe":         `on or off is "maybe"`,
		"switch on every=0s":   "every is not a duration",
		"after":                "PATTERN is missing (usage: after PATTERN [count=N|all] [skip=N] [prob=P] COMMAND)",
		"after x":              "empty command",
		"after x skip=y plain": "skip is a number from 0",
	} {
		if _, err := speech().Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
