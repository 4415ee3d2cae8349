package main

import (
	"math/bits"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// The bounds of folding. A kind of line that was quiet for foldQuiet is told from
// its beginning again; beyond foldKinds kinds nothing is folded, which is better
// than not being told.
const (
	foldQuiet = time.Hour
	foldKinds = 256
)

// notFolded are the messages that are written every time.
var notFolded = []string{"state", reloadedLine, refusedLine}

// foldingCore keeps lines that repeat out of the log: of each kind the first, the
// second, the fourth, the 16th, the 64th and so on are written, and one an hour.
// The next one that is written says in "folded" how many were not. A kind is what
// the field "code" says, or else the message with its detail. Changes of state are
// not touched, because the session folds them by rules of its own; neither are
// answers to a person who asked for a reload, and the debug level.
type foldingCore struct {
	zapcore.Core
	seen *foldedKinds // shared by all cores made of this one by With
}

func newFoldingCore(c zapcore.Core) zapcore.Core {
	return foldingCore{c, &foldedKinds{kinds: make(map[string]*foldedKind)}}
}

func (c foldingCore) With(fields []zapcore.Field) zapcore.Core {
	return foldingCore{c.Core.With(fields), c.seen}
}

func (c foldingCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c foldingCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if e.Level >= zap.InfoLevel && !slices.Contains(notFolded, e.Message) {
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

type foldedKinds struct {
	mu    sync.Mutex
	kinds map[string]*foldedKind
}

type foldedKind struct {
	times  uint      // since it was last quiet
	folded int       // since one was written
	last   time.Time // when there was one, written or not
	shown  time.Time
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
		k = &foldedKind{}
		s.kinds[kind] = k
	}
	if now.Sub(k.last) >= foldQuiet {
		k.times = 0
	}
	k.times++
	k.last = now
	powerOfFour := bits.OnesCount(k.times) == 1 && bits.TrailingZeros(k.times)%2 == 0
	if k.times != 2 && !powerOfFour && now.Sub(k.shown) < foldQuiet {
		k.folded++
		return 0, false
	}
	folded, k.folded, k.shown = k.folded, 0, now
	return folded, true
}
