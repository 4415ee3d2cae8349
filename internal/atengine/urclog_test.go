package atengine

import (
	"testing"
	"time"
)

// What comes in one read is shown together, so there is a moment in which a URC has its
// number and nobody sees it yet. Who began to wait in that moment was told to look on
// from behind it: a PUBACK was waited for until its time was over, about once in 100
// runs of the race detector.
func TestWaitingBeginsBetweenAURCAndItsShowing(t *testing.T) {
	l := &urcLog{changed: make(chan struct{}, 1), gone: make(chan struct{})}
	l.add("PUBACK", time.Now())
	found, mark, more := l.after(0)
	if len(found) != 0 {
		t.Fatalf("%+v is shown already", found)
	}
	l.tell()
	select {
	case <-more:
	default:
		t.Error("who waits is not woken")
	}
	if found, _, _ = l.after(mark); len(found) != 1 || found[0].Text != "PUBACK" {
		t.Errorf("from mark %d on there is %+v", mark, found)
	}
}
