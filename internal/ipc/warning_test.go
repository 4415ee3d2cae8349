package ipc

import (
	"strings"
	"testing"

	"airbridged/internal/bus"
)

// Seen: a program published to another device's topic, was told "acked", and the cloud had
// dropped it without a word. The topic is all that gives it away, so the answer says so; not
// where the configuration names it as a sub-device's, and not as long as nobody knows
// whose topics are this device's.
func TestTopicOfAnotherDeviceIsAnsweredWithAWarning(t *testing.T) {
	d := startDaemon(t, func(o *Options) {
		o.Named = func(name string) bool { return strings.HasPrefix(name, "/a1b2c3/meter-1/") }
	})
	publish := func(target string) string {
		t.Helper()
		resp, body := d.ask("POST", "/v1/publish?topic="+target, "x")
		if resp.StatusCode/100 != 2 {
			t.Fatalf("%s: %s", target, resp.Status)
		}
		return body
	}
	const foreign = `"warning":"topic-foreign"`
	if body := publish("/a1b2c3/gw-2/update"); strings.Contains(body, "warning") {
		t.Errorf("nobody knows whose it is: %s", body)
	}
	d.board.Update(func(s *bus.Status) { s.Identity.ProductKey = "a1b2c3" })
	if body := publish("/a1b2c3/gw-2/update"); strings.Contains(body, "warning") {
		t.Errorf("the device's name is not known yet: %s", body)
	}
	if body := publish("/x9y8z7/gw-2/update"); !strings.Contains(body, foreign) {
		t.Errorf("another product's is nobody's here: %s", body)
	}
	d.board.Update(func(s *bus.Status) { s.Identity.DeviceName = bus.Known("gw-1") })
	for target, want := range map[string]bool{
		"/a1b2c3/gw-2/update":           true,
		"/a1b2c3/gw-2/update&qos=0":     true,
		"/a1b2c3/gw-2/update&wait=1ms":  true,
		"/relay/a1b2c3/gw-1/update":     true,
		ownTopic:                        false,
		"/sys/a1b2c3/gw-1/thing/x/post": false,
		"/a1b2c3/meter-1/update":        false,
	} {
		if body := publish(target); strings.Contains(body, foreign) != want {
			t.Errorf("%s: %s", target, body)
		}
	}
	_, body := d.ask("GET", "/v1/messages/m1", "")
	if !strings.Contains(body, foreign) {
		t.Errorf("the message does not say it: %s", body)
	}
}
