package simcloud

import (
	"strings"
	"testing"
	"unicode"

	"airbridged/internal/topic"
)

// The daemon's rule for topics and the simulated cloud's share nothing. They
// agree on which topic falls under which filter, and the cloud takes what the
// daemon takes. The daemon takes less: quotes, backslashes and what cannot be
// printed stay at the gateway.
func FuzzTopics(f *testing.F) {
	for _, seed := range [][2]string{
		{"#", "$SYS/x"},
		{"+/x", "$SYS/x"},
		{"$SYS/#", "$SYS"},
		{"a/#", "a"},
		{"a/+", "a"},
		{"a/+/", "a//"},
		{"/", "/"},
		{"+/+", "/"},
		{"+/#", "a"},
		{"/+/+/get", "/b1KCi45LcCP/862991419835241/get"},
		{"a/b", "a/b/"},
		{"$airbridge/+", "$airbridge/state"},
		{"a/#/b", "a/+"},
		{"a+", "#a"},
		{"/设备/+", "/设备/温度"},
		{"a b", "a\u2028b"},
		{`a"`, "\uffff"},
		{strings.Repeat("a", 129), strings.Repeat("/", 8)},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, filter, name string) {
		agree(t, "topic", name, topic.Check(name), goodTopic(name))
		agree(t, "filter", filter, topic.CheckFilter(filter), goodFilter(filter))
		if !goodTopic(name) || !goodFilter(filter) {
			return // Match takes good ones only
		}
		if daemon, cloud := topic.Match(filter, name), falls(name, filter); daemon != cloud {
			t.Fatalf("does %q fall under %q? the daemon says %v, the simulated cloud %v", name, filter, daemon, cloud)
		}
	})
}

func agree(t *testing.T, what, s string, daemon error, cloud bool) {
	t.Helper()
	plain := !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || strings.ContainsRune(` "\`, r) })
	switch {
	case daemon == nil && !cloud:
		t.Fatalf("%s %q: the daemon takes it, the simulated cloud does not", what, s)
	case daemon != nil && cloud && plain:
		t.Fatalf("%s %q: the simulated cloud takes it, the daemon says: %v", what, s, daemon)
	}
}
