package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"airbridged/internal/secret"
)

const canary = "mRMyB50qafv74A5FofvhxZ2h9iTL9wX7"

// The secret sits where secrets end up in practice: in a struct that somebody
// logs whole, in an error, in a debug dump.
func TestTextNeverPrintsItself(t *testing.T) {
	t.Parallel()
	type credentials struct {
		User     string
		Password secret.Text
		Pointer  *secret.Text
	}
	s := secret.New(canary)
	c := credentials{User: "iotId", Password: s, Pointer: &s}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", c)
		fmt.Fprintf(&out, verb+"\n", &c)
	}
	doc, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(doc)
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&out), zap.DebugLevel)
	zap.New(core).Info("whole", zap.Any("c", c), zap.Any("s", s), zap.Stringer("t", s), zap.Reflect("r", c), zap.Error(fmt.Errorf("bad %v: %w", s, errors.ErrUnsupported)))
	slog.New(slog.NewTextHandler(&out, nil)).Info("whole", "c", c, "s", s)

	text := strings.ToLower(out.String())
	for _, leak := range []string{canary, fmt.Sprintf("%x", canary)} {
		if strings.Contains(text, strings.ToLower(leak)) {
			t.Fatalf("a secret printed itself:\n%s", out.String())
		}
	}
	if !strings.Contains(text, "[secret]") {
		t.Fatalf("nothing was redacted, so nothing was tested:\n%s", out.String())
	}
	if s.Reveal() != canary || s.Empty() || !(secret.Text{}).Empty() {
		t.Fatal("Reveal or Empty is wrong")
	}
}
