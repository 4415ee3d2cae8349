package topic_test

import (
	"strings"
	"testing"

	"airbridged/internal/topic"
)

// The rows are the examples of MQTT 3.1.1 sections 4.7.1.2, 4.7.1.3 and 4.7.2,
// and then the topics of the cloud.
func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filter, name string
		want         bool
	}{
		{"sport/tennis/player1/#", "sport/tennis/player1", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
		{"sport/tennis/player1/#", "sport/tennis/player10", false},
		{"sport/#", "sport", true},
		{"sport/#", "sports", false},
		{"#", "sport/tennis/player1", true},
		{"#", "/", true},
		{"sport/tennis/+", "sport/tennis/player1", true},
		{"sport/tennis/+", "sport/tennis/player2", true},
		{"sport/tennis/+", "sport/tennis/player1/ranking", false},
		{"sport/+", "sport", false},
		{"sport/+", "sport/", true},
		{"+", "sport", true},
		{"+", "sport/tennis", false},
		{"+/tennis/#", "sport/tennis", true},
		{"+/tennis/#", "sport/tennis/player1", true},
		{"+/tennis/#", "sport/golf", false},
		{"sport/+/player1", "sport/tennis/player1", true},
		{"sport/+/player1", "sport//player1", true},
		{"sport/+/player1", "sport/player1", false},
		{"+/+", "/finance", true},
		{"/+", "/finance", true},
		{"+", "/finance", false},

		{"#", "$SYS/monitor/clients", false},
		{"+/monitor/clients", "$SYS/monitor/clients", false},
		{"$SYS/#", "$SYS/", true},
		{"$SYS/monitor/+", "$SYS/monitor/clients", true},
		{"a/#", "a/$b", true}, // $ is special at the beginning of a topic only
		{"a/+", "a/$b", true},
		{"#", "$airbridge/state", false},
		{"$airbridge/state", "$airbridge/state", true},

		{"ACCOUNTS", "Accounts", false}, // case-sensitive (section 4.7.3)
		{"finance", "/finance", false},  // a leading slash makes a level
		{"finance/", "finance", false},
		{"finance", "finance/", false},

		{"/b1KCi45LcCP/862991419835241/get", "/b1KCi45LcCP/862991419835241/get", true},
		{"/b1KCi45LcCP/862991419835241/+", "/b1KCi45LcCP/862991419835241/get", true},
		{"/+/+/get", "/b1KCi45LcCP/862991419835241/get", true},
		{"/b1KCi45LcCP/862991419835241/get", "/b1KCi45LcCP/862991419835242/get", false},
		{"/sys/+/+/rrpc/request/+", "/sys/b1KCi45LcCP/862991419835241/rrpc/request/98", true},
		{"/sys/+/+/rrpc/request/+", "/sys/b1KCi45LcCP/862991419835241/rrpc/response/98", false},
		{"/shadow/#", "/shadow/get/b1KCi45LcCP/862991419835241", true},
	} {
		if got := topic.Match(c.filter, c.name); got != c.want {
			t.Errorf("Match(%q, %q) = %v, want %v", c.filter, c.name, got, c.want)
		}
	}
}

// nameCases hold for topics and for filters; reason is what the message must
// say, and empty for a good one.
var nameCases = []struct{ name, in, reason string }{
	{"the cloud's own", "/b1KCi45LcCP/862991419835241/update", ""},
	{"one slash", "/", ""},
	{"without slash", "get", ""},
	{"Chinese", "/设备/温度", ""},
	{"C1 control", "/a\u009b31mb", "the character U+009B at offset 2, which is not printed"},
	{"next line", "/a\u0085b", "U+0085"},
	{"the other direction", "/a\u202eb", "U+202E"},
	{"an isolate", "/a\u2066b", "U+2066"},
	{"line separator", "/a\u2028b", "U+2028"},
	{"nothing to see", "/a\u200bb", "U+200B"},
	{"byte order mark", "/\ufeffa", "U+FEFF"},
	{"no-break space", "/a\u00a0b", "U+00A0"},
	{"a tag", "/a\U000e0041b", "U+E0041"},
	{"dollar", "$SYS/broker", ""},
	{"longest", "/" + strings.Repeat("a", topic.MaxBytes-1), ""},
	{"longest by bytes, not letters", strings.Repeat("中", 42) + "ab", ""},
	{"most slashes", "a" + strings.Repeat("/b", topic.MaxSlashes), ""},

	{"empty", "", "is empty"},
	{"one byte too long", strings.Repeat("a", topic.MaxBytes+1), "has 129 bytes"},
	{"too long by bytes", strings.Repeat("中", 43), "has 129 bytes"},
	{"one slash too many", "a" + strings.Repeat("/b", topic.MaxSlashes+1), "has 8 slashes"},
	{"not UTF-8", "/a/\xff", "not valid UTF-8"},
	{"cut UTF-8", "/a/\xe4\xb8", "not valid UTF-8"},
	{"surrogate in UTF-8", "/a/\xed\xa0\x80", "not valid UTF-8"},
	{"NUL", "/a/\x00", "U+0000 at offset 3"},
	{"carriage return", "/a\rAT+RESET", "U+000D at offset 2"},
	{"line feed", "/a\n", "U+000A at offset 2"},
	{"Ctrl-Z", "/a\x1a", "U+001A"},
	{"escape", "/a\x1b", "U+001B"},
	{"delete", "/a\x7f", "U+007F"},
	{"noncharacter", "/a/\uffff", "U+FFFF at offset 3"},
	{"quote", `/a",0,0,"`, `'"' at offset 2`},
	{"backslash", `/a\22`, `'\\' at offset 2`},
	{"blank inside", "/a/up date", "blank at offset 5"},
	{"blank behind", "/a/update ", "blank at offset 9"},
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range nameCases {
		checkReason(t, c.name, topic.Check(c.in), "topic", c.reason)
	}
	for _, c := range []struct{ name, in, reason string }{
		{"plus", "/a/+/b", `'+' at offset 3`},
		{"plus in a word", "/a/c+d", `'+' at offset 4`},
		{"hash", "/a/#", `'#' at offset 3`},
		{"local", "$airbridge/state", ""},
	} {
		checkReason(t, c.name, topic.Check(c.in), "topic", c.reason)
	}
}

func TestCheckFilter(t *testing.T) {
	t.Parallel()
	for _, c := range nameCases {
		checkReason(t, c.name, topic.CheckFilter(c.in), "filter", c.reason)
	}
	for _, c := range []struct{ name, in, reason string }{
		{"hash alone", "#", ""},
		{"plus alone", "+", ""},
		{"hash last", "/a/#", ""},
		{"plus between", "/a/+/b", ""},
		{"every level", "+/+/#", ""},
		{"local", "$airbridge/state", ""},
		{"hash before the last level", "/a/#/b", "before its last level"},
		{"hash behind text", "/a/b#", `"b#" mixes a wildcard with text`},
		{"hash before text", "/a/#b", `"#b" mixes`},
		{"plus in text", "/a/b+/c", `"b+" mixes`},
		{"two wildcards in a level", "/a/+#", `"+#" mixes`},
		{"double plus", "/a/++", `"++" mixes`},
	} {
		checkReason(t, c.name, topic.CheckFilter(c.in), "filter", c.reason)
	}
}

// checkReason wants an error that names what was checked and why it is wrong.
func checkReason(t *testing.T, name string, err error, what, reason string) {
	t.Helper()
	switch {
	case reason == "" && err != nil:
		t.Errorf("%s %q refused: %v", what, name, err)
	case reason != "" && err == nil:
		t.Errorf("%s %q accepted, want %q", what, name, reason)
	case reason != "" && (!strings.Contains(err.Error(), reason) || !strings.HasPrefix(err.Error(), what+" ")):
		t.Errorf("%s %q: error %q, want it to begin with the thing checked and to say %q", what, name, err, reason)
	}
}
