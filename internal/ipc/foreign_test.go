package ipc

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"airbridged/internal/outbox"
)

// Who is root may drop another device's messages or have them sent as this one's;
// a wrong question is refused before anybody is.
func TestForeignRoutes(t *testing.T) {
	d, queue := queueDaemon(t)
	ask := func(method, target string) (int, string) {
		t.Helper()
		resp, body := d.ask(method, target, "")
		return resp.StatusCode, body
	}
	for target, want := range map[string]string{
		"/v1/outbox?foreign=2":            "bad-option",
		"/v1/outbox?foreign=1&topic=%23":  "bad-option",
		"/v1/outbox?foreign=1&foreign=1x": "bad-option",
		"/v1/outbox?foreign=0":            "bad-filter",
	} {
		if code, body := ask(http.MethodDelete, target); code != http.StatusBadRequest || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", target, code, body)
		}
	}
	if os.Getuid() != 0 {
		for method, target := range map[string]string{http.MethodDelete: "/v1/outbox?foreign=1", http.MethodPost: "/v1/outbox/retarget"} {
			if code, body := ask(method, target); code != http.StatusForbidden {
				t.Errorf("%s: %d %s", target, code, body)
			}
		}
		return
	}
	if code, body := ask(http.MethodPost, "/v1/outbox/retarget"); code != http.StatusConflict || !strings.Contains(body, "not-now") {
		t.Errorf("nobody is here: %d %s", code, body)
	}
	for _, c := range []struct{ method, target, want string }{
		{http.MethodDelete, "/v1/outbox?foreign=1", `{"dropped":1}`},
		{http.MethodPost, "/v1/outbox/retarget", `{"retargeted":1}`},
	} {
		queue.Device(outbox.Device{ProductKey: "pk", DeviceName: "a"})
		if code, body := ask(http.MethodPost, "/v1/publish?topic=/pk/a/x"); code != http.StatusAccepted {
			t.Fatal(body)
		}
		queue.Device(outbox.Device{ProductKey: "pk", DeviceName: "b"})
		if _, body := ask(http.MethodGet, "/v1/outbox"); !strings.Contains(body, `"state":"foreign"`) {
			t.Errorf("%s", body)
		}
		if code, body := ask(c.method, c.target); code != http.StatusOK || strings.TrimSpace(body) != c.want {
			t.Errorf("%s: %d %s", c.target, code, body)
		}
	}
	if _, body := ask(http.MethodGet, "/v1/outbox"); !strings.Contains(body, `"topic":"/pk/b/x"`) {
		t.Errorf("%s", body)
	}
}
