package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"

	"go.uber.org/zap"
)

// A topic, a name of the module or of a file with C1 controls, bidi, U+2028 or a line
// end in it reached the log as it was, and could steer the terminal of who reads it,
// or forge a line. In JSON it means the same as before.
func TestLogIsPlain(t *testing.T) {
	const evil = "a\u009b31m\u202eb\u2028c\x1b]0;x\x07\n{\"level\":\"error\",\"msg\":\"forged\"}\U000e0041"
	for _, format := range []string{"json", "console"} {
		var out bytes.Buffer
		log, _ := NewLogger(format, "debug", &out)
		log.Named("api").With(zap.String("topic", evil)).Warn(evil, zap.Error(errors.New(evil)), zap.Strings("keys", []string{evil}), zap.String("kéy", "é"))
		text, ended := strings.CutSuffix(out.String(), "\n")
		if !ended || strings.ContainsFunc(text, func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }) {
			t.Errorf("%s: %q", format, out.String())
		}
		if !strings.Contains(text, "é") {
			t.Errorf("%s: letters do not stay: %q", format, text)
		}
		if format != "json" {
			continue
		}
		var line struct{ Msg, Topic, Error string }
		if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Msg != evil || line.Topic != evil || line.Error != evil {
			t.Errorf("means something else now: %v %q", err, line)
		}
	}
}

// The log on a terminal is for people: its fields were JSON there, too.
func TestConsoleHasNoJSON(t *testing.T) {
	var out bytes.Buffer
	log, _ := NewLogger("console", "debug", &out)
	log.Named("api").With(zap.Int("n", 1)).Info("state", zap.String("from", "online"), zap.String("to", "recovering"), zap.Duration("wait", 2024*time.Millisecond), zap.Error(errors.New("no, not so")))
	_, line, _ := strings.Cut(out.String(), " ")
	if want := "INFO  api: state | n 1, from online, to recovering, wait 2.024s, error \"no, not so\"\n"; line != want {
		t.Errorf("%q, want %q", line, want)
	}
}
