package host

import (
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"airbridged/internal/fold"
)

// foldKinds bounds the kinds of lines that are folded: beyond it every line is
// written, which is better than not being told.
const foldKinds = 256

// foldingCore keeps lines that repeat out of the log, by the rule of package fold.
// The next one of a kind that is written says in "folded" how many were not. A kind
// is what the field "code" says, or else the message with its detail. The debug level
// is not touched, and neither are the messages in whole.
type foldingCore struct {
	zapcore.Core
	whole []string
	seen  *foldedKinds // shared by all cores made of this one by With
}

func newFoldingCore(c zapcore.Core, whole []string) zapcore.Core {
	return foldingCore{c, whole, &foldedKinds{kinds: make(map[string]*fold.Repeats)}}
}

func (c foldingCore) With(fields []zapcore.Field) zapcore.Core {
	return foldingCore{c.Core.With(fields), c.whole, c.seen}
}

func (c foldingCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c foldingCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if e.Level >= zap.InfoLevel && !slices.Contains(c.whole, e.Message) {
		folded, shown := c.seen.count(e.Level.String()+e.LoggerName+"\x00"+kindOf(e, fields), e.Time)
		if !shown {
			return nil
		}
		if folded > 0 {
			fields = append(fields, zap.Int("folded", folded))
		}
	}
	return c.Core.Write(e, fields)
}

func kindOf(e zapcore.Entry, fields []zapcore.Field) string {
	kind := e.Message
	for _, f := range fields {
		switch f.Key {
		case "code":
			return f.String
		case "detail":
			kind += "\x00" + f.String
		}
	}
	return kind
}

// foldedKinds counts each kind of line.
type foldedKinds struct {
	mu    sync.Mutex
	kinds map[string]*fold.Repeats
}

// count books one line of a kind, and says whether to write it and how many were
// not written before it.
func (s *foldedKinds) count(kind string, now time.Time) (folded int, shown bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.kinds[kind]
	if !ok {
		if len(s.kinds) >= foldKinds {
			return 0, true
		}
		k = &fold.Repeats{}
		s.kinds[kind] = k
	}
	return k.Again(now)
}
