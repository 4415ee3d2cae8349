package host

import (
	"io"
	"os"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"airbridged/internal/plain"
)

// NewLogger logs to w: in the format "console" for people or "json", with "auto" the
// one that fits what w is. On the way to the journal each line has its priority
// before it. Lines that repeat are folded, but for those with the messages of whole.
// The level can be changed while it runs.
func NewLogger(format, level string, w io.Writer, whole ...string) (*zap.Logger, zap.AtomicLevel) {
	atomic := zap.NewAtomicLevelAt(LogLevel(level))
	encoding := zap.NewProductionEncoderConfig()
	encoding.TimeKey = "time"
	encoding.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoding.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.Encoder(plainly{zapcore.NewJSONEncoder(encoding), false})
	if format == "console" || format == "auto" && isTerminal(w) {
		encoder = plainly{newConsole(), true}
	}
	if isJournal(w) {
		encoder = prioritized{encoder}
	}
	return zap.New(newFoldingCore(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), atomic), whole)), atomic
}

// plainly escapes what an encoder lets through and could steer a terminal or deceive
// its reader: in the console's messages every control character, in JSON those of C1,
// other directions, and line ends of Unicode. A line of the log stays one line.
type plainly struct {
	zapcore.Encoder
	console bool
}

// Clone is for zap.
func (p plainly) Clone() zapcore.Encoder { return plainly{p.Encoder.Clone(), p.console} }

// EncodeEntry is for zap.
func (p plainly) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	line, err := p.Encoder.EncodeEntry(entry, fields)
	if err != nil {
		return nil, err
	}
	switch text := line.String(); {
	case p.console:
		line.Reset()
		line.AppendString(plain.Text(strings.TrimSuffix(text, "\n")) + "\n")
	case plain.Lines(text) != text:
		line.Reset()
		line.AppendString(string(plain.JSON([]byte(text))))
	}
	return line, nil
}

// LogLevel knows the words that the configuration has checked.
func LogLevel(word string) zapcore.Level {
	level, err := zapcore.ParseLevel(word)
	if err != nil {
		return zapcore.InfoLevel
	}
	return level
}

func isTerminal(w io.Writer) bool {
	f, ok := under(w).(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
