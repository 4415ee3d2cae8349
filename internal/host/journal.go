package host

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"

	"airbridged/internal/plain"
)

// isJournal says whether w is the stream on which journald takes lines with a
// priority before them (systemd.exec(5), $JOURNAL_STREAM): then only the journal
// reads it, and not a file or a terminal that somebody redirected it to.
func isJournal(w io.Writer) bool {
	if under(w) != os.Stderr {
		return false
	}
	ok, err := journal.StderrIsJournalStream()
	return ok && err == nil
}

// The priorities of the journal, as a line begins with them (sd-daemon(3)).
const (
	journalError   = "<3>"
	journalWarning = "<4>"
	journalInfo    = "<6>"
	journalDebug   = "<7>"
)

// priority translates a level.
func priority(level zapcore.Level) string {
	switch {
	case level >= zapcore.ErrorLevel:
		return journalError
	case level == zapcore.WarnLevel:
		return journalWarning
	case level == zapcore.InfoLevel:
		return journalInfo
	}
	return journalDebug
}

// prioritized puts the priority before each line of an encoder, so that
// `journalctl -p warning` finds what it should.
type prioritized struct{ zapcore.Encoder }

// Clone is for zap.
func (p prioritized) Clone() zapcore.Encoder { return prioritized{p.Encoder.Clone()} }

var lines = buffer.NewPool()

// EncodeEntry is for zap.
func (p prioritized) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	plain, err := p.Encoder.EncodeEntry(entry, fields)
	if err != nil {
		return nil, err
	}
	defer plain.Free()
	line := lines.Get()
	line.AppendString(priority(entry.Level))
	_, err = line.Write(plain.Bytes())
	return line, err
}

// Complain prints why the daemon does not run, before there is a logger; each
// line of it is an error to the journal.
func Complain(stderr io.Writer, text string) {
	prefix := ""
	if isJournal(stderr) {
		prefix = journalError
	}
	for line := range strings.SplitSeq(plain.Lines(text), "\n") {
		fmt.Fprintln(stderr, prefix+line)
	}
}
