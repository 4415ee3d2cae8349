package topic

import "testing"

// Whose topic it is shows where the cloud has the names, and nowhere else: a payload's
// identity in a later level makes no topic one's own.
func TestOfDevice(t *testing.T) {
	for name, want := range map[string]bool{
		"/k/d/update":                        true,
		"/k/d":                               true,
		"/sys/k/d/thing/event/property/post": true,
		"/shadow/update/k/d":                 true,
		"/ext/ntp/k/d/request":               true,
		"/ota/device/inform/k/d":             true,
		"/ext/rrpc/12/k/d/answer":            true,
		"/ext/rrpc/12/sys/k/d/rrpc":          true,
		"/k/other/update":                    false,
		"/other/d/update":                    false,
		"/relay/k/d/update":                  false,
		"/ext/rrpc/12":                       false,
		"/sys/k":                             false,
		"/k":                                 false,
		"k/d/update":                         false,
		"":                                   false,
	} {
		if got := OfDevice(name, "k", "d"); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !OfDevice("/k/any/update", "k", "") || OfDevice("/other/any/update", "k", "") {
		t.Error("a device whose name is not known yet may have any, but of its product")
	}
}

// What a rule names is meant; what falls under a wildcard may be a mistake.
func TestNames(t *testing.T) {
	for _, c := range []struct {
		filter, name string
		want         bool
	}{
		{"/k/meter-1/#", "/k/meter-1/update", true},
		{"/sys/k/meter-1/thing/#", "/sys/k/meter-1/thing/event/property/post", true},
		{"/k/meter-1/update", "/k/meter-2/update", false},
		{"/k/+/update", "/k/meter-1/update", false},
		{"#", "/k/meter-1/update", false},
		{"/#", "/k/meter-1/update", false},
	} {
		if got := Names(c.filter, c.name); got != c.want {
			t.Errorf("%s, %s: %v", c.filter, c.name, got)
		}
	}
}

// Nobody knows where in which of the cloud's topics the names stand.
func TestOwn(t *testing.T) {
	for what, want := range map[string]string{
		"update":                    "/k/d/update",
		"user/update":               "/k/d/user/update",
		"thing/event/property/post": "/sys/k/d/thing/event/property/post",
		"shadow/update":             "/shadow/update/k/d",
		"ntp/request":               "/ext/ntp/k/d/request",
		"ota/inform":                "/ota/device/inform/k/d",
		"shadow":                    "/k/d/shadow",
	} {
		got := Own(what, "k", "d")
		if got != want || !OfDevice(got, "k", "d") {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
}
