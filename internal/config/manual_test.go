package config

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2/unstable"
)

const manual = "../../docs/man/airbridged.toml.5.scd"

// entry is what the manual page says of one key.
type entry struct {
	fallback string // its default, as TOML; "none" where there is none
	kind     string // first sentence: the type and its bounds
	text     string // all of it
	example  string
}

var (
	manualSection = regexp.MustCompile(`^## \[+([a-z_.]+)\]+$`)
	manualKey     = regexp.MustCompile(`^\*([a-z0-9_]+)\* = (.+)$`)
	manualExample = regexp.MustCompile(`Example: ([a-z0-9_]+) = (.+)$`)
)

// readManual takes the KEYS of the page apart. The names are in their order.
func readManual(t *testing.T) (names []string, entries map[string]entry) {
	t.Helper()
	data, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(data), "\n# KEYS\n")
	text, _, _ = strings.Cut(text, "\n# ")
	section, name := "", ""
	entries = map[string]entry{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := manualSection.FindStringSubmatch(line); m != nil {
			section, name = m[1], ""
		} else if m := manualKey.FindStringSubmatch(line); m != nil {
			name = section + "." + m[1]
			names = append(names, name)
			entries[name] = entry{fallback: m[2]}
		} else if name != "" {
			e := entries[name]
			e.text += strings.TrimPrefix(line, "\t") + "\n"
			if m := manualExample.FindStringSubmatch(line); m != nil && m[1] == lastPart(name) {
				e.example = m[2]
			}
			entries[name] = e
		}
	}
	for name, e := range entries {
		e.kind, _, _ = strings.Cut(strings.ReplaceAll(e.text, "\n", " "), ". ")
		entries[name] = e
	}
	return names, entries
}

// assign gives a key a value that is written as TOML.
func assign(t *testing.T, k key, toml string) (Config, error) {
	t.Helper()
	d := parse("manual", []byte("x = "+toml+"\n"))
	if len(d.statements) != 1 || d.statements[0].kind != unstable.KeyValue {
		t.Fatalf("%s: %s is no TOML", k.name, toml)
	}
	c := fresh()
	return c, k.set(&c, d.statements[0].value)
}

// fresh is the default with one empty element of each array of tables.
func fresh() Config {
	c := Default()
	c.Subscribe, c.Batch, c.OnConnect, c.Access = make([]Subscribe, 1), []Batch{newBatch()}, []OnConnect{newOnConnect()}, []Access{newAccess()}
	return c
}

// The page has every key of the configuration, in the order of the code, and
// no other; each with its default, and with an example that is accepted.
func TestManualHasEveryKey(t *testing.T) {
	names, entries := readManual(t)
	var want []string
	for _, k := range keys {
		want = append(want, k.name)
		e, ok := entries[k.name]
		if !ok {
			t.Errorf("%s is not in %s", k.name, manual)
			continue
		}
		c := fresh()
		now := k.show(&c)
		if e.fallback == "none" {
			if now != "" {
				t.Errorf("%s: the page has no default, the code has %s", k.name, now)
			}
		} else if c, err := assign(t, k, e.fallback); err == nil && k.show(&c) != now || err != nil && e.fallback != now {
			t.Errorf("%s: the page's default is %s, the code's %s", k.name, e.fallback, now)
		}
		if e.example == "" {
			t.Errorf("%s: the page has no line \"Example: %s = ...\"", k.name, lastPart(k.name))
		} else if c, err := assign(t, k, e.example); err != nil {
			t.Errorf("%s: the page's example %s: %v", k.name, e.example, err)
		} else if k.show(&c) == now {
			t.Errorf("%s: the page's example is the default", k.name)
		}
	}
	if !slices.Equal(names, want) {
		t.Errorf("the keys of the page, in its order:\n%q\nof the code:\n%q", names, want)
	}
}

var (
	manualWord  = regexp.MustCompile(`"[^"]*"`)
	manualRange = regexp.MustCompile(`, "?([0-9A-Za-z]+)"? to "?([0-9A-Za-z]+)"?`)
	manualMost  = regexp.MustCompile(`(an absolute path of )?at most ([0-9]+) (?:characters|bytes)`)
)

// The type of a key, its bounds and its words are what the page says: what is
// inside is accepted, what is beyond is refused.
func TestManualHasTypesAndBounds(t *testing.T) {
	_, entries := readManual(t)
	for _, k := range keys {
		kind := entries[k.name].kind
		accepts := func(toml string) bool { _, err := assign(t, k, toml); return err == nil }
		check := func(toml string, want bool) {
			if got := accepts(toml); got != want {
				t.Errorf("%s = %s: accepted %v; the page says: %s", k.name, toml, got, kind)
			}
		}
		says := func(toml, bounds string) {
			_, err := assign(t, k, toml)
			if err == nil || !strings.Contains(err.Error(), bounds) {
				t.Errorf("%s = %s: the page says: %s; the code: %v", k.name, shorten(toml), kind, err)
			}
		}
		form, _, _ := strings.Cut(kind, ",")
		form, _, _ = strings.Cut(form, " \"")
		low, high := bounds(kind)
		switch form {
		case "Whole number":
			check(strconv.Itoa(bound(t, low)), true)
			check(strconv.Itoa(bound(t, low)-1), false)
			check(strconv.Itoa(bound(t, high)), true)
			check(strconv.Itoa(bound(t, high)+1), false)
		case "Line speed":
			check("115200", true)
			check("115201", false)
		case "Duration":
			check(`"`+low+`"`, true)
			check(`"`+high+`"`, true)
			says(`"1000000h"`, "from "+canonical(t, parseDuration, showDuration, low)+" to "+canonical(t, parseDuration, showDuration, high))
		case "Size":
			check(`"`+low+`"`, true)
			check(`"`+high+`"`, true)
			says(`"1B"`, "from "+canonical(t, parseSize, showSize, low)+" to "+canonical(t, parseSize, showSize, high))
		case "True or false":
			check("true", true)
			check("1", false)
		case "One of":
			var said []string
			for _, word := range manualWord.FindAllString(kind, -1) {
				check(word, true)
				said = append(said, strings.Trim(word, `"`))
			}
			says(`"-"`, "one of "+strings.Join(said, ", ")) // the mistake lists all that there are
		case "List of texts":
			check(`["a", "b"]`, true)
			check(`"a"`, false)
		case "File mode":
			check(`"0660"`, true)
			check("432", false)
			check(`"66"`, false)
		case "Text":
			check("1", false)
			if m := manualMost.FindStringSubmatch(kind); m != nil {
				start := "/"
				if strings.Contains(kind, "https") {
					start = "https://a/"
				}
				says(`"`+start+strings.Repeat("a", bound(t, m[2])+200)+`"`, m[2])
			} else if low != "" {
				says(`"a"`, low+" to "+high)
			}
			check(`"relative"`, !strings.Contains(kind, "absolute path") && !strings.ContainsAny(kind, ":/") && !strings.Contains(kind, "loopback") && !strings.Contains(kind, "https"))
		default:
			t.Errorf("%s: the page begins with %q, which is no type", k.name, form)
		}
	}
}

func bounds(kind string) (low, high string) {
	if m := manualRange.FindStringSubmatch(kind); m != nil {
		return m[1], m[2]
	}
	return "", ""
}

// canonical writes a bound as mistakes do.
func canonical[V any](t *testing.T, read func(value) (V, error), show func(V) string, s string) string {
	t.Helper()
	v, err := read(value{kind: unstable.String, text: s})
	if err != nil {
		t.Errorf("%q is no bound: %v", s, err)
	}
	return show(v)
}

func bound(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Errorf("%q is no bound", s)
	}
	return n
}

// What this version reads and does not act on is said in the page, and nothing
// else is.
func TestManualTellsWhatHasNoEffectYet(t *testing.T) {
	data, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	_, entries := readManual(t)
	for _, u := range unready {
		if e, ok := entries[u.key]; ok && !strings.Contains(e.text, "Not in this version: "+u.instead+".") {
			t.Errorf("%s: the page does not say: Not in this version: %s.", u.key, u.instead)
		}
		if !strings.Contains(string(data), "Not in this version: "+u.instead+".") {
			t.Errorf("%s: the page does not say: Not in this version: %s.", u.key, u.instead)
		}
	}
	if n := strings.Count(string(data), "Not in this version:"); n != len(unready) {
		t.Errorf("the page says %d times that something is not in this version; it is %d", n, len(unready))
	}
}
