package host

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// A program publishes what this module cannot carry, ten times a second, all
// night: the log said so 360,000 times. It has to say so, and how often.
func TestRepeatsAreFoldedAndCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, seen := observer.New(zap.DebugLevel)
		log := zap.New(newFoldingCore(core, nil)).Named("session")
		const lines = 10 * 3600 * 8
		told := 0
		for n := range lines {
			log.Warn(fmt.Sprintf("message %d was set aside", n), zap.String("code", "message-rejected"))
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(2 * time.Hour)
		log.Warn("message last was set aside", zap.String("code", "message-rejected"))
		for _, e := range seen.All() {
			told++
			if folded, ok := e.ContextMap()["folded"].(int64); ok {
				told += int(folded)
			}
		}
		if n := seen.Len(); n < 10 || n > 25 {
			t.Errorf("%d lines were written, want the first few and one an hour", n)
		}
		if told != lines+1 {
			t.Errorf("the lines tell of %d events, and there were %d", told, lines+1)
		}
	})
}

// What is different is not folded, nor are changes of state, which the session
// folds itself, nor the debug level, which somebody asked for.
func TestOnlyRepeatsAreFolded(t *testing.T) {
	t.Parallel()
	core, seen := observer.New(zap.DebugLevel)
	log := zap.New(newFoldingCore(core, []string{"state"}))
	for range 10 {
		log.Info("state", zap.String("to", "online"))
		log.Debug("command")
	}
	for n := range 10 {
		log.Warn("outbox", zap.String("code", fmt.Sprint(n)))
		log.Warn(fmt.Sprint("message ", n))
		log.Named(fmt.Sprint("part", n)).Error("failed")
		log.Warn("configuration", zap.String("detail", fmt.Sprint("key ", n)))
	}
	if n := seen.Len(); n != 60 {
		t.Errorf("%d lines were written of 60 that all differ", n)
	}
	log.With(zap.String("more", "fields")).Warn("outbox", zap.String("code", "1"))
	log.With(zap.String("more", "fields")).Warn("outbox", zap.String("code", "1"))
	if n := seen.Len(); n != 61 {
		t.Errorf("a logger with more fields folds by itself: %d lines, want the second of its kind and not the third", n)
	}
}
