package ipc

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"airbridged/internal/typo"
)

// query holds the decoded parameters of one request, each known to its route.
type query map[string][]string

// parseQuery decodes a raw query strictly: a parameter that is not in known, a
// broken escape, and one that is given twice are refused; only "topic" may come
// more than once. A plus sign stays a plus sign, because it is a wildcard here
// and no topic has blanks.
func parseQuery(raw string, known ...string) (query, error) {
	q := make(query)
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.PathUnescape(rawName)
		if err != nil {
			return nil, badEscape(rawName)
		}
		value, err := url.PathUnescape(rawValue)
		if err != nil {
			return nil, badEscape(rawValue)
		}
		switch {
		case !slices.Contains(known, name):
			return nil, unknownParameter(name, known)
		case len(q[name]) > 0 && name != "topic":
			return nil, badOption.problem("parameter "+name+" is given more than once", "give it once")
		}
		q[name] = append(q[name], value)
	}
	return q, nil
}

func badEscape(s string) error {
	return badOption.problem("the query has a broken escape in "+shown(s), "a percent sign begins an escape like %2F; a literal one is written %25")
}

// unknownParameter refuses a name and suggests the nearest known one. What MQTT
// has and the cloud has not is refused with that reason.
func unknownParameter(name string, known []string) error {
	if name == "retain" || name == "retained" || strings.HasPrefix(name, "will") {
		return unsupported.problem("the cloud has no retained messages and no wills (Aliyun IoT, MQTT protocol)", "leave "+shown(name)+" out; "+notKept)
	}
	if len(known) == 0 {
		return badOption.problem("unknown parameter "+shown(name), "this path takes no parameters")
	}
	list := strings.Join(known, ", ")
	if near := typo.Nearest(name, known); near != "" {
		return badOption.problem("unknown parameter "+shown(name), fmt.Sprintf("did you mean %s? known here: %s", near, list))
	}
	return badOption.problem("unknown parameter "+shown(name), "known here: "+list)
}

// one returns a parameter's only value, and whether it was given.
func (q query) one(name string) (string, bool) {
	if v := q[name]; len(v) > 0 {
		return v[0], true
	}
	return "", false
}

// has says whether a parameter was given.
func (q query) has(name string) bool { return len(q[name]) > 0 }

// flag reads a parameter that is on or off; absent is off.
func (q query) flag(name string) (bool, error) {
	v, given := q.one(name)
	switch {
	case !given, v == "0", v == "false":
		return false, nil
	case v == "1", v == "true":
		return true, nil
	}
	return false, badOption.problem(fmt.Sprintf("%s=%s is neither on nor off", name, shown(v)), "write "+name+"=1 or "+name+"=0")
}

// number reads a whole number from least to most.
func (q query) number(name string, absent, least, most int) (int, error) {
	v, given := q.one(name)
	if !given {
		return absent, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		return 0, badOption.problem(fmt.Sprintf("%s=%s is not possible", name, shown(v)), fmt.Sprintf("write a whole number from %d to %d; without one it is %d", least, most, absent))
	}
	return n, nil
}

// duration reads a Go duration between least and most; absent is 0. A most of 0
// is no bound.
func (q query) duration(name string, least, most time.Duration) (time.Duration, error) {
	v, given := q.one(name)
	if !given {
		return 0, nil
	}
	d, err := time.ParseDuration(v)
	switch {
	case err != nil:
		return 0, badOption.problem(fmt.Sprintf("%s=%s is not a duration", name, shown(v)), "write a number with its unit: ms, s, m or h, as in "+name+"=90s")
	case d < least:
		return 0, badOption.problem(fmt.Sprintf("%s=%s is too short", name, shown(v)), "it must be more than nothing; leave it out for none")
	case most > 0 && d > most:
		return 0, badOption.problem(fmt.Sprintf("%s=%s is too long", name, shown(v)), "the most is "+strings.TrimSuffix(strings.TrimSuffix(most.String(), "0s"), "0m"))
	}
	return d, nil
}
