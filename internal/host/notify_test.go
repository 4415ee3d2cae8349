package host

import (
	"strings"
	"testing"
	"time"

	"airbridged/client/api"
)

// What `systemctl status` shows has to be enough for a first look.
func TestStatusLine(t *testing.T) {
	since := time.Date(2026, 11, 22, 14, 3, 11, 0, time.Local)
	next := since.Add(5 * time.Minute)
	for _, c := range []struct {
		status api.Status
		want   string
	}{
		{api.Status{State: "online", Since: since}, "Online since 2026-11-22 14:03:11"},
		{api.Status{State: "attaching", Since: since}, "Attaching to the mobile network since 2026-11-22 14:03:11"},
		{
			api.Status{State: "recovering", Since: since, Cause: "bearer-failed", Attempt: 3, NextAttemptAt: &next, Hint: "check the APN"},
			"Recovering since 2026-11-22 14:03:11, after bearer-failed, attempt 4 at 14:08:11: check the APN",
		},
		{api.Status{State: "probing", Since: since, Cause: "no-answer", Attempt: 2}, "Looking for the module since 2026-11-22 14:03:11, after no-answer"},
		{api.Status{State: "unheard-of", Since: since}, "unheard-of since 2026-11-22 14:03:11"},
	} {
		if got := statusLine(c.status); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	// A line end in a hint would be read by the service manager as its own words.
	if line := statusLine(api.Status{State: "online", Hint: "a\nWATCHDOG=1"}); strings.Contains(line, "\n") {
		t.Errorf("%q", line)
	}
}
