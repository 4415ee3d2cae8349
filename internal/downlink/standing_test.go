package downlink

import (
	"fmt"
	"testing"
	"testing/synctest"

	"airbridged/internal/bus"
)

// TestKeptBeforeAnybodyAsked: what [[subscribe]] says is to be kept is kept from the first
// start on. The first program that asks for it gets all of it, over a SIGKILL of the
// daemon before and after; from then on it is its own. When it is dropped, what comes is
// kept for the next.
func TestKeptBeforeAnybodyAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stand := []bus.Filter{{Topic: "/pk/dn/get", Keep: true}, {Topic: "/pk/dn/other"}}
		r := newRig(t, Limits{})
		defer func() { r.stop() }()
		r.hub.Keep(stand)
		synctest.Wait()
		r.publish("/pk/dn/get", "one", "two")
		r.publish("/pk/dn/other", "not kept")
		synctest.Wait()
		r.kill(Limits{})
		r.publish("/pk/dn/get", "three") // the device is not known yet
		r.hub.Keep(stand)
		synctest.Wait()
		if l := r.store.List(); len(l) != 1 || l[0].Kind != Kept || l[0].Name != "/pk/dn/get" || l[0].Waiting != 3 {
			t.Fatalf("%+v", l)
		}
		got, _ := r.drain(r.open("narrow", "/pk/dn/get/x"))
		r.want(got, "")
		got, _ = r.drain(r.open("pump", "/pk/dn/+"))
		r.want(got, "one two three")
		synctest.Wait()
		r.kill(Limits{})
		r.hub.Keep(stand)
		synctest.Wait()
		r.publish("/pk/dn/get", "four")
		got, ids := r.drain(r.open("pump"))
		r.want(got, "one two three four")
		got, _ = r.drain(r.open("late", "/pk/dn/get"))
		r.want(got, "")
		if _, err := r.store.Ack(pumps, "pump", ids[1]); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"pump", "late"} {
			if err := r.store.Drop(HTTP, name); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		r.publish("/pk/dn/get", "five")
		got, _ = r.drain(r.open("next", "/pk/dn/get"))
		r.want(got, "five")
		if n := r.store.queue.Stats().Messages; n != 1 {
			t.Errorf("%d messages on disk", n)
		}
	})
}

// TestNotKeptAnyMore: a [[subscribe]] that is taken out of the configuration ends what
// was kept under it.
func TestNotKeptAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{})
		defer func() { r.stop() }()
		r.hub.Keep([]bus.Filter{{Topic: "/a", Keep: true}, {Topic: "/b", Keep: true}})
		synctest.Wait()
		r.publish("/a", "one")
		r.publish("/b", "two")
		r.hub.Keep([]bus.Filter{{Topic: "/b", Keep: true}})
		synctest.Wait()
		if l := r.store.List(); len(l) != 1 || l[0].Name != "/b" || l[0].Waiting != 1 {
			t.Errorf("%+v", l)
		}
		if w := r.hub.Wanted(); len(w) != 1 {
			t.Errorf("%+v", w)
		}
		r.kill(Limits{})
		if n := r.store.queue.Stats().Messages; n != 1 {
			t.Errorf("%d messages on disk", n)
		}
	})
}

// TestLatest: of a topic under a [[subscribe]] with latest only the newest message is
// kept, for a program that is away and before one asked; other topics keep theirs.
func TestLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stand := []bus.Filter{{Topic: "/set/+", Keep: true, Latest: true}}
		r := newRig(t, Limits{})
		defer func() { r.stop() }()
		r.hub.Keep(stand)
		synctest.Wait()
		for i := range 5 {
			r.publish("/set/a", fmt.Sprint("a", i))
			r.publish("/set/b", fmt.Sprint("b", i))
		}
		synctest.Wait()
		reader := r.open("pump", "/set/+", "/log")
		got, _ := r.drain(reader)
		r.want(got, "a4 b4")
		reader.Close()
		r.publish("/log", "l1", "l2")
		r.publish("/set/b", "b5", "b6")
		synctest.Wait()
		r.kill(Limits{})
		got, _ = r.drain(r.open("pump"))
		r.want(got, "a4 l1 l2 b6")
	})
}
