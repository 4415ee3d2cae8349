package outbox

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/outbox/simdisk"
)

// A watchdog asks whether the committer moves. Asking costs no write: a gateway
// that is watched for years must not wear out its flash for it.
func TestAnswers(t *testing.T) {
	q := open(t, filepath.Join(t.TempDir(), "outbox"), Limits{}, Options{CommitWindow: time.Second})
	before := q.Disk().Written
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		if err := q.Answers(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	if after := q.Disk().Written; after != before {
		t.Errorf("%d bytes were written to answer", after-before)
	}
	q.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := q.Answers(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a queue that nobody runs answered: %v", err)
	}
	if err := New(Limits{}).Answers(t.Context()); err != nil {
		t.Errorf("a queue in memory has no committer to wait for: %v", err)
	}
}

// A flush that does not come back is a stall. One that fails is not: the queue
// goes on without the disk, and a new process would fare no better.
func TestAnswersToldFromAFailingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := simdisk.New()
		var hang atomic.Bool
		disk.Latency = func(op string) time.Duration {
			if hang.Load() && op == "sync" {
				return time.Hour
			}
			return 0
		}
		q := open(t, "", Limits{}, Options{Files: disk})
		ask := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			return q.Answers(ctx)
		}
		disk.Fail(func(op, _ string) error {
			if op == "sync" {
				return errors.New("input/output error")
			}
			return nil
		})
		if _, err := q.Append(t.Context(), Message{Topic: "t", QoS: 1}); !errors.Is(err, ErrDisk) {
			t.Fatalf("append on a failing disk: %v", err)
		}
		if err := ask(); err != nil {
			t.Errorf("the disk fails: %v", err)
		}
		disk.Fail(nil)
		time.Sleep(2 * retryEvery)

		hang.Store(true)
		go func() { _, _ = q.Append(t.Context(), Message{Topic: "t", QoS: 1}) }()
		synctest.Wait()
		if err := ask(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the committer hangs in a flush: %v", err)
		}
		hang.Store(false)
		time.Sleep(2 * time.Hour)
		if err := ask(); err != nil {
			t.Errorf("the flush has ended: %v", err)
		}
		q.stop()
	})
}
