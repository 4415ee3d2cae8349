package session_test

import (
	"strings"
	"testing"
	"time"

	"airbridged/internal/recovery"
)

// "Check signal, DNS" was the advice for everything that an HTTPS request can end with.
// What has nothing to do with either has its own.
func TestEachEndOfARequestHasItsAdvice(t *testing.T) {
	t.Parallel()
	hints := map[string]string{}
	for _, c := range []struct {
		order string
		cause recovery.Cause
		words string
	}{
		{"http-status 204", recovery.HTTPFailed, "something on the way answers"},
		{"http-status 302", recovery.HTTPFailed, "not paid for"},
		{"http-status 307", recovery.HTTPFailed, "another address"},
		{"http-status 400", recovery.RequestRefused, "cloud.register_url"},
		{"http-status 403", recovery.RequestRefused, "firewall"},
		{"http-status 404", recovery.RequestRefused, "cloud.register_url"},
		{"http-status 407", recovery.RequestRefused, "proxy"},
		{"http-status 429", recovery.CloudError, "too many requests"},
		{"http-status 500", recovery.CloudError, "error of its own"},
		{"http-status 503", recovery.CloudError, "overloaded"},
		{"http-status 511", recovery.CloudError, "portal"},
		{"http-status 600", recovery.HTTPFailed, "speaks no HTTP"},
		{"http-status 601", recovery.HTTPFailed, "carries nothing"},
		{"http-status 602", recovery.HTTPFailed, "out of memory"},
		{"http-status 603", recovery.HTTPFailed, "name servers"},
		{"http-status 604", recovery.HTTPFailed, "busy"},
		{"http-status 605", recovery.HTTPFailed, "agree on TLS"},
		{"http-status 606", recovery.HTTPFailed, "alert"},
		{"http-status 699", recovery.HTTPFailed, "699"},
		{`http-body "<!DOCTYPE html>\r\n<title>top up</title>"`, recovery.HTTPFailed, "a web page"},
		{`http-body "{\"ok\":true}"`, recovery.HTTPFailed, "not in the cloud's form"},
		{"register 400", recovery.RequestRefused, "device.device_name"},
		{"register 460", recovery.RequestRefused, "device.device_name"},
		{"register 6200", recovery.RequestRefused, "another way to log in"},
		{"register 6204", recovery.RequestRefused, "disabled"},
		{"register 6292", recovery.SignatureRefused, "cloud.sign"},
		{"register 6600", recovery.SignatureRefused, "ProductSecret"},
		{"register 9999", recovery.RequestRefused, "9999"},
		{"auth 460", recovery.RequestRefused, "login request"},
	} {
		inWorld(t, setup{}, func(t *testing.T, w *world) {
			w.order(c.order + " count=all")
			w.begin()
			w.reaches(2*time.Minute, recovery.Recovering, c.cause)
			hint := w.board.Status().Hint
			if !strings.Contains(hint, c.words) {
				t.Errorf("%s: the hint %q does not say %q", c.order, hint, c.words)
			}
			if strings.HasPrefix(c.order, "register") && c.order != "register 6204" && strings.Contains(hint, "disabled") {
				t.Errorf("%s: a device that does not exist yet is not disabled: %q", c.order, hint)
			}
			if was, twice := hints[hint]; twice {
				t.Errorf("%s has the advice of %s", c.order, was)
			}
			hints[hint] = c.order
		})
	}
}
