package outbox

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"airbridged/internal/outbox/simdisk"
)

var (
	devA = Device{"pk", "a"}
	devB = Device{"pk", "b"}
	devC = Device{"other-pk", "c-with-a-longer-name"}
)

// states are the states of what waits, with the topics, by age.
func states(q *Queue) string {
	page, _ := q.List("", 1000)
	var list []string
	for _, m := range page {
		list = append(list, fmt.Sprintf("%s:%s", m.Topic, m.State))
	}
	return strings.Join(list, " ")
}

func wantStates(t *testing.T, q *Queue, want string) {
	t.Helper()
	if got := states(q); got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

// About 1,200 messages that were accepted for one device went out as another one's
// after its module was swapped; the cloud acknowledged them and dropped them. Now they
// wait, over a restart too, until their module is back.
func TestForeignMessagesWait(t *testing.T) {
	disk := simdisk.New()
	q := openOn(t, disk, Limits{})
	q.Device(devA)
	put(t, q.Queue, "/pk/a/update", low)
	m := put(t, q.Queue, "/sys/pk/a")
	put(t, q.Queue, "/pk/a/state", latest)
	put(t, q.Queue, "/pk/ab/update") // a sub-device of the gateway
	put(t, q.Queue, "/pk/b/update")  // whoever published it meant b
	put(t, q.Queue, "/pk/a/now", qos0)
	const held = "/pk/a/update:foreign /sys/pk/a:foreign /pk/a/state:foreign /pk/ab/update:queued /pk/b/update:queued"
	q.Device(devB)
	wantStates(t, q.Queue, held+" /pk/a/now:foreign")
	put(t, q.Queue, "/pk/b/late")
	put(t, q.Queue, "/pk/a/late") // accepted for b: as wrong as it is
	put(t, q.Queue, "/pk/a/state", latest)
	if s := q.Stats(); s.Foreign != 4 || s.Messages != 8 || s.Held != 1 {
		t.Errorf("%+v", s)
	}
	if n, of := q.Foreign(); n != 4 || len(of) != 1 || of[0] != devA {
		t.Errorf("%d of %v", n, of)
	}
	if err := q.Done(m.ID, Acked, ""); !errors.Is(err, ErrNotInFlight) {
		t.Errorf("a foreign message: %v", err)
	}
	wantState(t, q.Queue, m.ID, Foreign, "")
	q.stop()
	q = openOn(t, disk, Limits{})
	wantStates(t, q.Queue, strings.ReplaceAll(held, "foreign", "queued")+" /pk/b/late:queued /pk/a/late:queued /pk/a/state:queued")
	q.Device(devB)
	wantStates(t, q.Queue, held+" /pk/b/late:queued /pk/a/late:queued /pk/a/state:queued")
	if got := drain(t, q.Queue); got != "/pk/ab/update /pk/b/update /pk/b/late /pk/a/late /pk/a/state" {
		t.Errorf("as b: %s", got)
	}
	q.stop()
	q = openOn(t, disk, Limits{})
	q.Device(devA)
	if got := drain(t, q.Queue); got != "/sys/pk/a /pk/a/state /pk/a/update" { // the last is the least important
		t.Errorf("as a again: %s", got)
	}
}

// They are never burnt: what is full or replaced takes others.
func TestForeignMessagesDoNotGiveWay(t *testing.T) {
	q := openOn(t, simdisk.New(), Limits{Messages: 3, DropOldest: true})
	q.Device(devA)
	put(t, q.Queue, "/pk/a/1")
	put(t, q.Queue, "/pk/a/2", latest)
	q.Device(devB)
	put(t, q.Queue, "/pk/b/1")
	put(t, q.Queue, "/pk/b/2")
	wantStates(t, q.Queue, "/pk/a/1:foreign /pk/a/2:foreign /pk/b/2:queued")
	put(t, q.Queue, "/pk/a/2", latest)
	wantStates(t, q.Queue, "/pk/a/1:foreign /pk/a/2:foreign /pk/a/2:queued")
	q.Device(devC)
	if n, err := q.DropForeign(); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	wantStates(t, q.Queue, "/pk/a/2:queued")
	if d := q.Stats().Dropped[ReasonRemoved]; d != 2 {
		t.Errorf("%d are counted", d)
	}
}

// On request they are sent as the new device's: with its names, their own ids, places and
// payloads, over restarts, and again as a third one's.
func TestRetarget(t *testing.T) {
	disk := simdisk.New()
	q := openOn(t, disk, Limits{})
	if _, err := q.Retarget(); !errors.Is(err, ErrInvalid) {
		t.Errorf("nobody is here: %v", err)
	}
	q.Device(devA)
	first := put(t, q.Queue, "/pk/a/1")
	put(t, q.Queue, "/sys/pk/a", low)
	put(t, q.Queue, "/else/where")
	q.Device(devC)
	put(t, q.Queue, "/other-pk/c-with-a-longer-name/0", func(m *Message) { m.Priority = High })
	if n, err := q.Retarget(); n != 2 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if n, err := q.Retarget(); n != 0 || err != nil {
		t.Errorf("once more: %d, %v", n, err)
	}
	const as = "/other-pk/c-with-a-longer-name/1:queued /sys/other-pk/c-with-a-longer-name:queued /else/where:queued /other-pk/c-with-a-longer-name/0:queued"
	for range 2 {
		wantStates(t, q.Queue, as)
		m, err := q.Read(first.ID)
		if err != nil || string(m.Payload) != "/pk/a/1" || m.Size != len(m.Payload) {
			t.Errorf("%+v, %v", m, err)
		}
		q.stop()
		q = openOn(t, disk, Limits{})
		q.Device(devC)
	}
	q.Device(devA) // they were given away
	wantStates(t, q.Queue, strings.NewReplacer("/else/where:foreign", "/else/where:queued").Replace(strings.ReplaceAll(as, "queued", "foreign")))
	q.Device(devB)
	if n, err := q.Retarget(); n != 3 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	q.stop()
	q = openOn(t, disk, Limits{})
	q.Device(devB)
	wantStates(t, q.Queue, "/pk/b/1:queued /sys/pk/b:queued /else/where:queued /pk/b/0:queued")
	var payloads []string
	for m, ok := q.Take(); ok; m, ok = q.Take() {
		payloads = append(payloads, m.Topic+"="+string(m.Payload))
		check(t, q.Done(m.ID, Acked, ""))
	}
	if got := strings.Join(payloads, " "); got != "/pk/b/0=/other-pk/c-with-a-longer-name/0 /pk/b/1=/pk/a/1 /else/where=/else/where /sys/pk/b=/sys/pk/a" {
		t.Errorf("%s", got)
	}
}

// A Latest message that comes under a topic for which a younger one waits is outdated.
func TestRetargetReplacesWhatIsOutdated(t *testing.T) {
	q := openOn(t, simdisk.New(), Limits{})
	q.Device(devA)
	put(t, q.Queue, "/pk/a/1", latest)
	q.Device(devB)
	put(t, q.Queue, "/pk/b/1", latest)
	if n, err := q.Retarget(); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	wantStates(t, q.Queue, "/pk/b/1:queued")
}

// A disk that fails says so: the order is in effect, and is not after a restart.
func TestRetargetOnAFailingDisk(t *testing.T) {
	disk := simdisk.New()
	q := openOn(t, disk, Limits{})
	q.Device(devA)
	put(t, q.Queue, "/pk/a/1")
	q.Device(devB)
	put(t, q.Queue, "/pk/b/1")
	disk.Fail(func(op, name string) error {
		if strings.HasPrefix(name, devicesName) {
			return syscall.ENOSPC
		}
		return nil
	})
	if n, err := q.Retarget(); n != 1 || !errors.Is(err, ErrDisk) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%d, %v", n, err)
	}
	wantStates(t, q.Queue, "/pk/b/1:queued /pk/b/1:queued")
	disk.Fail(nil)
	put(t, q.Queue, "/pk/b/2") // with it, it is tried again
	q.stop()
	q = openOn(t, disk, Limits{})
	q.Device(devB)
	wantStates(t, q.Queue, "/pk/b/1:queued /pk/b/1:queued /pk/b/2:queued")
}

// A directory of an earlier version does not say whose its messages are. They are those
// of the device whose credentials are there.
func TestOldRecordsAreTheLastDevices(t *testing.T) {
	for _, before := range []Device{devA, {}} {
		disk := simdisk.New()
		q := openOn(t, disk, Limits{})
		put(t, q.Queue, "/pk/a/1")
		q.stop()
		q = open(t, "", Limits{}, Options{Files: disk, SegmentSize: testSegment, Device: before})
		q.Device(devB)
		want := "/pk/a/1:foreign"
		if !before.known() {
			want = "/pk/a/1:queued"
		}
		wantStates(t, q.Queue, want)
		q.stop()
		q = openOn(t, disk, Limits{})
		q.Device(devB)
		wantStates(t, q.Queue, want)
	}
}

// Modules that come and go, with a message or two each, leave a small file, and one that
// a flipped bit makes for a moment leaves nothing.
func TestManyDevices(t *testing.T) {
	disk := simdisk.New()
	q := openOn(t, disk, Limits{})
	for i := range 200 {
		q.Device(Device{"pk", fmt.Sprint("d", i)})
		q.Device(Device{"pk", "noise"})
		q.Device(Device{"pk", fmt.Sprint("d", i)})
		put(t, q.Queue, fmt.Sprintf("/pk/d%d/x", i))
	}
	put(t, q.Queue, "/last")
	q.stop()
	b, err := readSmall(disk, devicesName)
	if err != nil || len(b) == 0 || len(b) > 8<<10 || strings.Contains(string(b), "noise") {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	q = openOn(t, disk, Limits{})
	q.Device(Device{"pk", "d199"})
	if s := q.Stats(); s.Foreign != maxDevices-1 || s.Messages != 201 {
		t.Errorf("%+v", s)
	}
	drain(t, q.Queue)
	if n, err := q.DropForeign(); n != maxDevices-1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	q.Device(devA)
	put(t, q.Queue, "/pk/a/1")
	q.stop()
	if b, _ := readSmall(disk, devicesName); len(b) > 300 {
		t.Errorf("what concerns no message stays: %s", b)
	}
	for _, damaged := range []string{"", "{", "null", `{"arrivals":3}`} {
		f, err := disk.Create(devicesName)
		check(t, err)
		_, err = f.WriteAt([]byte(damaged), 0)
		check(t, err)
		q = openOn(t, disk, Limits{})
		q.Device(devB)
		wantStates(t, q.Queue, "/pk/a/1:queued")
		q.stop()
	}
}

// In memory it is the same.
func TestForeignInMemory(t *testing.T) {
	q := New(Limits{})
	q.Device(devA)
	put(t, q, "/pk/a/1")
	q.Device(devB)
	if n, err := q.Retarget(); n != 1 || err != nil || drain(t, q) != "/pk/b/1" {
		t.Errorf("%d, %v, %s", n, err, states(q))
	}
}

// A message that was in flight as the module went away is settled as usual.
func TestForeignInFlight(t *testing.T) {
	q := openOn(t, simdisk.New(), Limits{})
	q.Device(devA)
	put(t, q.Queue, "/pk/a/1")
	m, _ := q.Take()
	q.Device(devB)
	wantStates(t, q.Queue, "/pk/a/1:inflight")
	check(t, q.Release(m.ID))
	wantStates(t, q.Queue, "/pk/a/1:foreign")
	q.Device(devA)
	m, _ = q.Take()
	q.Device(devB)
	check(t, q.Done(m.ID, Acked, ""))
	wantStates(t, q.Queue, "")
}
