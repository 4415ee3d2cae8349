package outbox

import (
	"context"
	"testing"

	"airbridged/internal/outbox/simdisk"
)

// TestSettled: what was settled without Take is gone, on the disk too once it was
// flushed, counts as dropped by nobody, and is not remembered by a forgetful queue. The
// one in flight is not the caller's to settle.
func TestSettled(t *testing.T) {
	disk := simdisk.New()
	q, err := Open("", Limits{}, Options{Files: disk, Forgetful: true})
	if err != nil {
		t.Fatal(err)
	}
	running := run(t, q)
	var ids []string
	for range 4 {
		m, err := q.Append(context.Background(), Message{Topic: "/t", Payload: []byte("x"), QoS: 1})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, m.ID)
	}
	first, _ := q.Take()
	q.Settle(ids[0], ids[2], ids[2], "nonsense")
	if err := q.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Get(ids[2]); err == nil {
		t.Error("a forgetful queue remembers a settled message")
	}
	if s := q.Stats(); s.Messages != 3 || s.Dropped[ReasonRemoved] != 0 {
		t.Errorf("%+v", s)
	}
	if err := q.Release(first.ID); err != nil {
		t.Error(err)
	}
	image := disk.Survivor()
	running.stop()
	again, err := Open("", Limits{}, Options{Files: image})
	if err != nil {
		t.Fatal(err)
	}
	page, _ := again.List("", 10)
	if len(page) != 3 || page[0].ID != ids[0] || page[1].ID != ids[1] || page[2].ID != ids[3] {
		t.Errorf("after a SIGKILL: %+v", page)
	}
}
