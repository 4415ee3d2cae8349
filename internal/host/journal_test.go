package host

import (
	"bytes"
	"errors"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Each line begins with its priority, fields of With included, and the rest of
// it is the same JSON as ever.
func TestJournalPriorities(t *testing.T) {
	var out bytes.Buffer
	encoding := zapcore.EncoderConfig{MessageKey: "msg", LevelKey: "level", EncodeLevel: zapcore.LowercaseLevelEncoder}
	log := zap.New(zapcore.NewCore(prioritized{zapcore.NewJSONEncoder(encoding)}, zapcore.AddSync(&out), zap.DebugLevel)).With(zap.Int("n", 1))
	log.Debug("a")
	log.Info("b\n<0>not a line of its own")
	log.Warn("c")
	log.Error("d", zap.Error(errors.New("e")))
	want := `<7>{"level":"debug","msg":"a","n":1}
<6>{"level":"info","msg":"b\n<0>not a line of its own","n":1}
<4>{"level":"warn","msg":"c","n":1}
<3>{"level":"error","msg":"d","n":1,"error":"e"}
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// A log that goes into a file or a terminal has no priorities, whatever the
// environment was inherited from.
func TestNoJournalNoPriorities(t *testing.T) {
	t.Setenv("JOURNAL_STREAM", "8:12345")
	var out bytes.Buffer
	Complain(&out, "one\ntwo")
	if out.String() != "one\ntwo\n" || isJournal(&out) {
		t.Errorf("%q", out.String())
	}
}
