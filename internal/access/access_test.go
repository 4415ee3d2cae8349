package access

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const own = 990 // the daemon's uid

func id(n uint32) *uint32 { return &n }

func user(uid uint32, groups ...uint32) Who {
	return Who{Known: true, UID: uid, GID: uid, Groups: groups}
}

// control has rules for a known device.
func control(rules ...Rule) *Control {
	c := New(own, func() (string, string) { return "pk", "dn" })
	c.Set(rules)
	return c
}

// The first rule that is for somebody decides, and no other; who has none may do
// nothing; root and the daemon's user are never bound.
func TestTheFirstMatchDecides(t *testing.T) {
	t.Parallel()
	c := control(
		Rule{Name: "bad", UID: id(1000)},
		Rule{UID: id(1001), Publish: []string{"/${productKey}/${deviceName}/update"}},
		Rule{Name: "all", GID: id(50), Publish: []string{"#"}, Subscribe: []string{"/pk/dn/#"}},
		Rule{Name: "late", UID: id(1001), Publish: []string{"#"}},
		Rule{Name: "tcp", Client: "uid 1001", Publish: []string{"/a"}},
	)
	for _, r := range []struct {
		why   string
		who   Who
		topic string
		want  string // of the refusal; "": none
	}{
		{"root", user(0), "/x", ""},
		{"the daemon's user", user(own), "/x", ""},
		{"an empty rule before the group's", user(1000, 50), "/pk/dn/update", `access rule "bad" does not let it publish there`},
		{"its topic", user(1001), "/pk/dn/update", ""},
		{"another device's", user(1001), "/pk/dn2/update", "access rule 2 does not let it publish there"},
		{"a topic of a rule that is also for it, but not the first", user(1001), "/x", "access rule 2 does not"},
		{"by a group", user(2000, 7, 50), "/x", ""},
		{"by the primary group", Who{Known: true, UID: 2000, GID: 50}, "/x", ""},
		{"no rule", user(2000, 7), "/x", "no access rule is for uid 2000, and who has none may do nothing"},
		{"a client with a password", Who{Client: "uid 1001"}, "/a", ""},
		{"a client that has a user's name", Who{Client: "uid 1001"}, "/pk/dn/update", `access rule "tcp" does not`},
		{"a user that has a client's name", Who{Known: true, UID: 3000, Client: "uid 1001"}, "/a", "no access rule is for uid 3000"},
		{"a client without a name", Who{}, "/a", "no access rule is for a client on TCP without a name"},
		{"one who says he is root", Who{UID: 0}, "/a", "no access rule is for a client on TCP"},
		{"one who says he is in the group", Who{GID: 50, Groups: []uint32{50}}, "/a", "no access rule is for"},
	} {
		err := c.Of(r.who).Publish(r.topic)
		if got := text(err); r.want == "" && err != nil || !strings.Contains(got, r.want) {
			t.Errorf("%s: %q, want %q", r.why, got, r.want)
		}
		if e := c.Explain(r.who, ToPublish, r.topic); e.Allowed != (err == nil) || err != nil && e.Why != err.Error() {
			t.Errorf("%s: explained as %+v", r.why, e)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	if _, ok := errors.AsType[*Denied](err); !ok {
		return fmt.Sprintf("%T, which is no refusal", err)
	}
	return err.Error()
}

// Without a rule nobody is bound, and no Control is as good as one without rules.
func TestNoRuleBindsNobody(t *testing.T) {
	t.Parallel()
	var none *Control
	for _, c := range []*Control{none, New(own, func() (string, string) { return "", "" }), control()} {
		for _, w := range []Who{user(1000), {Client: "x"}, {}} {
			r := c.Of(w)
			for what, err := range map[string]error{
				"publish": r.Publish("/a"), "subscribe": r.Subscribe("#"), "see": r.May(Status | Events | Trace | Messages), "drop": r.DropsAll(),
				"ask for priority high": r.Priority(0), "have a large payload": r.Payload(1 << 20), "reconnect": r.Free(), "do anything": r.Any(),
				"publish fast": c.Spend(r),
			} {
				if err != nil {
					t.Errorf("may not %s: %v", what, err)
				}
			}
			if r.Share() != 100 || r.Usual() != 1 || r.Bound() {
				t.Errorf("%+v", r)
			}
		}
	}
}

// A filter has to be inside one of the rule's as a whole, whatever its wildcards.
func TestFilters(t *testing.T) {
	t.Parallel()
	c := control(Rule{UID: id(1000), Subscribe: []string{"/${productKey}/${deviceName}/get", "/sys/pk/dn/#", "/ext/+/x"}, See: Status})
	for filter, want := range map[string]bool{
		"/pk/dn/get": true, "/pk/dn/+": false, "/pk/+/get": false, "#": false, "/pk/dn/#": false, "+/pk/dn/get": false,
		"/sys/pk/dn": true, "/sys/pk/dn/#": true, "/sys/pk/dn/+/+": true, "/sys/pk/#": false, "/sys/pk/+/a": false, "/sys/pk/dn2/a": false,
		"/ext/a/x": true, "/ext/+/x": true, "/ext/#": false, "/ext/a/x/y": false,
		"$airbridge/state": true, "$airbridge/events": false, "$airbridge/#": false, "$airbridge/+": false, "$airbridge": false, "$SYS/#": true,
	} {
		if err := c.Of(user(1000)).Subscribe(filter); (err == nil) != want {
			t.Errorf("%s: %v, want %v", filter, err, want)
		}
	}
	if err := control(Rule{UID: id(1000), Subscribe: []string{"#"}}).Of(user(1000)).Subscribe("$airbridge/state"); err == nil {
		t.Error("# takes in what the daemon tells of itself")
	}
	if err := c.Of(user(1)).Subscribe("$SYS/#"); err == nil {
		t.Error("who has no rule has a filter")
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	c := control(
		Rule{Name: "low", UID: id(1), Publish: []string{"#"}, Priority: 2, MaxPayload: 10, Share: 25, See: Trace},
		Rule{Name: "high", UID: id(2), Publish: []string{"#"}, Priority: 0, DropAll: true, See: Messages | Status},
	)
	low, high := c.Of(user(1)), c.Of(user(2))
	for _, r := range []struct {
		err  error
		want string
	}{
		{low.Priority(1), `access rule "low" does not let it ask for priority normal`},
		{low.Priority(2), ""},
		{high.Priority(0), ""},
		{low.Payload(11), `the payload has 11 bytes, and access rule "low" lets it have 10`},
		{low.Payload(10), ""},
		{high.Payload(1 << 20), ""},
		{low.May(Trace), ""},
		{low.May(Trace | Status | Events), `access rule "low" does not let it see status and events`},
		{high.May(Trace), `access rule "high" does not let it see trace`},
		{low.DropsAll(), `access rule "low" does not let it drop messages of others`},
		{high.DropsAll(), ""},
		{low.Free(), "is for root and the daemon's user"},
	} {
		if got := text(r.err); r.want == "" && got != "" || !strings.Contains(got, r.want) {
			t.Errorf("%q, want %q", got, r.want)
		}
	}
	if low.Usual() != 2 || high.Usual() != 1 || low.Share() != 25 || high.Share() != 100 {
		t.Error(low.Usual(), high.Usual(), low.Share(), high.Share())
	}
}

// The burst is two seconds of the rate, of each user, and then it is the rate. What is
// refused does not count.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := control(Rule{Name: "r", GID: id(50), Publish: []string{"#"}, Rate: 10}, Rule{UID: id(3), Publish: []string{"#"}, Rate: 0.01})
		a, b := c.Of(user(1, 50)), c.Of(user(2, 50))
		sent := func(r Rights) (n int) {
			for c.Spend(r) == nil {
				n++
			}
			return n
		}
		if n := sent(a); n != 20 {
			t.Errorf("%d at once", n)
		}
		if n := sent(b); n != 20 {
			t.Errorf("another user has %d", n)
		}
		var d *Denied
		if err := c.Spend(a); !errors.As(err, &d) || d.After != 100*time.Millisecond || !strings.Contains(d.Detail, `access rule "r" lets it publish 10 messages a second`) {
			t.Errorf("%v, %+v", err, d)
		}
		time.Sleep(d.After)
		if n := sent(a); n != 1 {
			t.Errorf("%d after %v", n, d.After)
		}
		time.Sleep(time.Hour)
		if n := sent(a); n != 20 {
			t.Errorf("%d after an hour", n)
		}
		// Less than one in two seconds still sends.
		slow := c.Of(user(3))
		if n := sent(slow); n != 1 {
			t.Errorf("%d of a slow one", n)
		}
		time.Sleep(100 * time.Second)
		if n := sent(slow); n != 1 {
			t.Errorf("%d of a slow one, later", n)
		}
	})
}

// A thousand users do not make the memory of their rates grow for ever.
func TestRatesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := control(Rule{GID: id(50), Publish: []string{"#"}, Rate: 10})
		for uid := range uint32(3000) {
			_ = c.Spend(c.Of(user(uid+1, 50)))
			time.Sleep(10 * time.Millisecond)
		}
		if n := len(c.rates.of); n > 2*manyRates {
			t.Errorf("%d are remembered", n)
		}
	})
}

// Other rules are in effect at once, and who asked before is told.
func TestSet(t *testing.T) {
	t.Parallel()
	c := control(Rule{UID: id(1), Publish: []string{"/a"}})
	changed := c.Changed()
	select {
	case <-changed:
		t.Fatal("nothing has changed")
	default:
	}
	c.Set([]Rule{{UID: id(1), Publish: []string{"/b"}}})
	<-changed
	if c.Of(user(1)).Publish("/a") == nil || c.Of(user(1)).Publish("/b") != nil {
		t.Error("the rules before are in effect")
	}
	c.Set(nil)
	if c.Of(user(2)).Publish("/a") != nil {
		t.Error("without a rule somebody is bound")
	}
}

// As long as nobody knows which device this is, a rule with its name holds for any, so
// that messages are taken before the module was identified; then for this one alone.
func TestTheDevicesNames(t *testing.T) {
	t.Parallel()
	device := ""
	c := New(own, func() (string, string) { return "pk", device })
	c.Set([]Rule{{UID: id(1), Publish: []string{"/${productKey}/${deviceName}/update", "/x-${deviceName}"}}})
	try := func(topic string, want bool) {
		t.Helper()
		if err := c.Of(user(1)).Publish(topic); (err == nil) != want {
			t.Errorf("device %q, topic %s: %v", device, topic, err)
		}
	}
	try("/pk/dn/update", true)
	try("/pk/dn/other", false)
	try("/pk2/dn/update", false)
	try("/pk/a/b/update", false)
	device = "dn"
	try("/pk/dn/update", true)
	try("/pk/dn2/update", false)
	try("/x-dn", true)
	device = "dn2"
	try("/pk/dn2/update", true)
	try("/pk/dn/update", false)
}
