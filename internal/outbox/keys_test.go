package outbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"airbridged/internal/outbox/simdisk"
)

func keyed(user uint32, key string) func(*Message) {
	return func(m *Message) { m.User, m.Key = user, key }
}

// repeatOf appends a message with a key again and says what came of it.
func repeatOf(t testing.TB, q *Queue, user uint32, key, topic string) Message {
	t.Helper()
	before := q.Stats().Messages
	m := put(t, q, topic, keyed(user, key))
	if after := q.Stats().Messages; after != before {
		t.Errorf("a repeat of %s was kept: %d messages, before %d", key, after, before)
	}
	return m
}

// A program repeats what it got no answer to: nothing is kept twice, and the answer
// is that of the first, wherever that message stands by now; over restarts and
// kills, too.
func TestARepeatIsAnsweredAsTheFirst(t *testing.T) {
	for _, how := range []string{"in memory", "on disk", "restarted each time", "killed each time"} {
		t.Run(how, func(t *testing.T) {
			disk := simdisk.New()
			q := running{New(Limits{}), func() {}}
			if how != "in memory" {
				q = openOn(t, disk, Limits{})
			}
			again := func() {
				switch how {
				case "restarted each time":
					q.stop()
				case "killed each time":
					check(t, q.Answers(t.Context())) // it runs
					check(t, q.awaitFlush())
					disk = disk.Survivor()
					q.stop()
				default:
					return
				}
				q = openOn(t, disk, Limits{})
			}
			first := map[string]Message{}
			for _, key := range []string{"acked", "rejected", "dropped", "expired", "replaced", "queued"} {
				topic := key
				m := put(t, q.Queue, topic, keyed(7, key), func(m *Message) {
					if key == "expired" {
						m.TTL = 1
					}
					m.Latest = key == "replaced"
					m.Priority = map[bool]Priority{true: Low, false: High}[key == "queued"]
				})
				first[key] = m
				again()
				if got := repeatOf(t, q.Queue, 7, key, topic); got.ID != m.ID {
					t.Errorf("%s: repeated as %+v", key, got)
				}
				switch key {
				case "acked":
					next(t, q.Queue)
				case "rejected":
					got, _ := q.Take()
					check(t, q.Done(got.ID, Rejected, "no"))
				case "dropped":
					check(t, q.Drop(m.ID))
				case "expired":
					q.Stats()
				case "replaced":
					put(t, q.Queue, topic, latest, high, keyed(7, "another"))
					next(t, q.Queue)
				}
				again()
			}
			want := map[string]State{"acked": Acked, "rejected": Rejected, "dropped": Dropped, "expired": Expired, "replaced": Dropped, "queued": Queued}
			for key, m := range first {
				if got := repeatOf(t, q.Queue, 7, key, key); got.ID != m.ID || got.State != want[key] {
					t.Errorf("%s: %+v, want %s", key, got, want[key])
				}
			}
			// Another user's key of the same name is another key.
			if other := put(t, q.Queue, "acked", keyed(8, "acked")); other.ID == first["acked"].ID {
				t.Error("a key of another user was taken for this one's")
			}
			for _, c := range []func(*Message){
				func(m *Message) { m.Topic = "other" },
				func(m *Message) { m.Payload = []byte("other") },
			} {
				m := Message{Topic: "acked", Payload: []byte("acked"), QoS: 1, User: 7, Key: "acked"}
				c(&m)
				if _, err := q.Append(t.Context(), m); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), hintKey) {
					t.Errorf("another message under the key: %v", err)
				}
				if _, known, err := q.Repeat(m); !known || !errors.Is(err, ErrKey) {
					t.Errorf("asked for it: %v", err)
				}
			}
			q.stop()
		})
	}
}

// Two requests with one key at once: one message, one id.
func TestRepeatsAtOnce(t *testing.T) {
	q := openOn(t, simdisk.New(), Limits{})
	ids := make(chan string, 20)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { ids <- put(t, q.Queue, "t", keyed(1, "k")).ID })
	}
	all.Wait()
	first := <-ids
	for range 19 {
		if id := <-ids; id != first {
			t.Errorf("%s and %s", first, id)
		}
	}
	if n := q.Stats().Messages; n != 1 {
		t.Errorf("%d messages", n)
	}
}

// What is refused leaves no key behind: the repeat is the first.
func TestARefusedKeyIsNotKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := simdisk.New()
		q := openOn(t, disk, Limits{Messages: 1})
		m := Message{Topic: "t", QoS: 1, User: 1, Key: "k"}
		disk.Fail(func(op, _ string) error {
			if op == "sync" {
				return syscall.EIO
			}
			return nil
		})
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if _, err := q.Append(t.Context(), m); !errors.Is(err, ErrDisk) {
					t.Errorf("append: %v", err)
				}
			})
		}
		all.Wait()
		disk.Fail(nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := q.Append(ctx, m); !errors.Is(err, context.Canceled) {
			t.Errorf("append: %v", err)
		}
		if _, known, _ := q.Repeat(m); known {
			t.Error("the key is known")
		}
		if got, err := q.Append(t.Context(), m); err != nil || got.State != Queued {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := q.Append(t.Context(), Message{Topic: "t", QoS: 1, Key: "other"}); !errors.Is(err, ErrFull) {
			t.Errorf("append: %v", err)
		}
		if _, err := q.Append(t.Context(), m); err != nil { // a repeat needs no room
			t.Errorf("a repeat in a full queue: %v", err)
		}
		if n := len(q.keys.waiting); n != 0 {
			t.Errorf("%d keys wait", n)
		}
	})
}

// Ten thousand keys are known; then the user with most of them loses the oldest,
// and nobody else one.
func TestKeysAreBoundedForEachUser(t *testing.T) {
	disk := simdisk.New()
	q := open(t, "", Limits{}, Options{Files: disk})
	few := put(t, q.Queue, "few", keyed(1, "few"))
	next(t, q.Queue)
	var all sync.WaitGroup
	for w := range 50 { // so that they share commits
		all.Go(func() {
			for i := range (rememberedKeys + 500) / 50 {
				put(t, q.Queue, "many", keyed(2, fmt.Sprintf("%d of %d", i, w)))
			}
		})
	}
	all.Wait()
	for next(t, q.Queue) != "" {
	}
	check(t, q.awaitFlush())
	for round := range 2 {
		if got := repeatOf(t, q.Queue, 1, "few", "few"); got.ID != few.ID || got.State != Acked {
			t.Errorf("round %d: %+v", round, got)
		}
		q.mu.Lock()
		n, of2 := len(q.keys.byID), len(q.keys.users[2])
		for id, e := range q.keys.byID {
			if e.state != Acked {
				t.Errorf("round %d: %v is %q", round, id, e.state)
				break
			}
		}
		q.mu.Unlock()
		if n != rememberedKeys || of2 != rememberedKeys-1 {
			t.Errorf("round %d: %d keys, %d of the second user", round, n, of2)
		}
		q.stop()
		if size := len(disk.Bytes(keysName)); size > rememberedKeys*keySlot+sector {
			t.Errorf("the file has %d bytes", size)
		}
		q = open(t, "", Limits{}, Options{Files: disk})
	}
}

// A full disk drains, and the keys of what goes are on it all the same: their places
// were made when the messages were accepted.
func TestKeysOnAFullDisk(t *testing.T) {
	disk := simdisk.New()
	q := openOn(t, disk, Limits{})
	var ids []string
	for i := range 100 {
		ids = append(ids, put(t, q.Queue, fmt.Sprint("t", i), keyed(1, fmt.Sprint(i))).ID)
	}
	disk.Fail(func(op, _ string) error {
		if op == "create" || op == "truncate" {
			return syscall.ENOSPC
		}
		return nil
	})
	if got := len(strings.Fields(drain(t, q.Queue))); got != 100 {
		t.Fatalf("%d went out", got)
	}
	check(t, q.awaitFlush())
	old := disk
	disk = disk.Certain()
	old.Survivor()
	q.stop()
	q = openOn(t, disk, Limits{})
	for i, id := range ids {
		if got := repeatOf(t, q.Queue, 1, fmt.Sprint(i), fmt.Sprint("t", i)); got.ID != id || got.State != Acked {
			t.Errorf("%d: %+v", i, got)
		}
	}
}

// Damage to the file of keys costs the keys that it is in.
func TestDamagedKeys(t *testing.T) {
	disk := simdisk.New()
	q := openOn(t, disk, Limits{})
	for i := range 20 {
		put(t, q.Queue, "t", keyed(1, fmt.Sprint(i)))
	}
	drain(t, q.Queue)
	q.stop()
	disk.Bytes(keysName)[5*keySlot+50] ^= 1
	q = openOn(t, disk, Limits{})
	known := 0
	for i := range 20 {
		if _, ok, _ := q.Repeat(Message{Topic: "t", Payload: []byte("t"), QoS: 1, User: 1, Key: fmt.Sprint(i)}); ok {
			known++
		}
	}
	notes := q.Notes()
	if known != 19 || len(notes) != 1 || !strings.Contains(notes[0].Text, "1 idempotency keys") {
		t.Errorf("%d of 20 are known; %+v", known, notes)
	}
	if q.Disk().Damaged != 0 {
		t.Error("counted as a damaged record")
	}
}
