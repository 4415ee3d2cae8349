package main

import (
	"os"
	"strings"
	"testing"

	"airbridged/internal/access"
	"airbridged/internal/ipc"
)

// What is allowed is exit 0, what is not 1, and both say which rule it was.
func TestAccessCheck(t *testing.T) {
	rules := access.New(^uint32(0), func() (string, string) { return "pk", "dn" })
	uid := uint32(4000001)
	rules.Set([]access.Rule{{Name: "telemetry", UID: &uid, Publish: []string{"/pk/dn/update"}, Priority: 1, Rate: 1, See: access.Status}})
	start(t, func(o *ipc.Options) { o.Access = rules })
	if os.Geteuid() != 0 {
		t.Skip("of others it tells root alone")
	}
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"publish /pk/dn/update", 0, "root and the daemon's own user are never bound"},
		{"--user 4000001 publish /pk/dn/update", 0, "allowed: publish to /pk/dn/update, for uid 4000001\naccess rule \"telemetry\" lets it publish there\n  priority  normal at most\n  rate      1 message a second\n"},
		{"--user 4000001 subscribe #", exitRefused, "access rule \"telemetry\" does not let it subscribe to that"},
		{"--client x publish /a", exitRefused, "no access rule is for client x"},
		{"--json --user 4000001 publish /a", exitRefused, `"allowed":false,"rule":"access rule \"telemetry\""`},
		{"--user no-such-user publish /a", exitRefused, "give the name of a user of this machine"},
		{"publish", exitUsage, "takes publish or subscribe, and a topic"},
		{"drop /a", exitUsage, `knows no "drop"`},
		{"--user a --client b publish /a", exitUsage, "do not go together"},
	} {
		code, stdout, stderr := ctl(nil, append([]string{"access", "check"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%q: %d %q %q", c.args, code, stdout, stderr)
		}
	}
	if code, _, stderr := ctl(nil, "access"); code != exitUsage || !strings.Contains(stderr, "access takes a command: check") {
		t.Errorf("%d %q", code, stderr)
	}
}
