package plain

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Topics and names with C1 controls, bidi and U+2028 in them reached logs and
// terminals as they were.
func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"":                           "",
		"/pk/dn/update":              "/pk/dn/update",
		"中国移动 \\n é 😀":               "中国移动 \\n é 😀",
		"a\nb\r\tc":                  `a\nb\r\tc`,
		"\x1b]0;x\x07":               `\x1b]0;x\x07`,
		"\u009b31m\u0085":            `\u009b31m\u0085`,
		"evil\u202egnp.\u2066":       `evil\u202egnp.\u2066`,
		"one\u2028two\u2029":         `one\u2028two\u2029`,
		"\u200b\ufeff\u00ad":         `\u200b\ufeff\u00ad`,
		"\U000e0041":                 `\U000e0041`,
		"a\u00a0b\u3000c":            `a\u00a0b\u3000c`,
		"\xff\xc0\xaf\xed\xa0\x80ok": `\xff\xc0\xaf\xed\xa0\x80ok`,
		"\ufffd stays":               "\ufffd stays",
		"\x7f":                       `\x7f`,
	} {
		if got := Text(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
	if got := Lines("a\n\tb\r\n\u2028"); got != "a\n\tb\\r\n\\u2028" {
		t.Errorf("lines: %q", got)
	}
}

// JSON means the same afterwards, and only shows what is printed.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{"", "plain", "\u009b\u202e\u2028\U000e0041", "\x1b\"\\\n", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "?")
		raw, err := json.Marshal(map[string]string{s: s})
		if err != nil {
			t.Fatal(err)
		}
		got := JSON(append(raw, '\n'))
		var back map[string]string
		if err := json.Unmarshal(got, &back); err != nil || back[s] != s {
			t.Fatalf("%q became %q: %v", raw, got, err)
		}
		for _, text := range []string{strings.TrimSuffix(string(got), "\n"), Text(s)} {
			if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("%q shows %q", s, text)
			}
		}
	})
}
