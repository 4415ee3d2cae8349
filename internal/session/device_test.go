package session

import (
	"testing"

	"airbridged/internal/provision"
)

// A topic that only contains the device's names counted as its own: no warning, and
// never set aside. The names have to stand where the cloud has them.
func TestOwnTopics(t *testing.T) {
	d := device{names: provision.Identity{ProductKey: "pk", DeviceName: "dn"}}
	for topic, want := range map[string]bool{
		"/pk/dn":                               true,
		"/pk/dn/user/update":                   true,
		"/sys/pk/dn/thing/event/property/post": true,
		"/shadow/update/pk/dn":                 true,
		"/ext/ntp/pk/dn/request":               true,
		"/ext/session/pk/dn/combine/login":     true,
		"/ota/device/inform/pk/dn":             true,
		"/ext/rrpc/123/pk/dn/user/get":         true,
		"/ext/rrpc/+/pk/dn/user/get":           true,
		"/pk/dn/#":                             true,
		"/pk/dn2/update":                       false,
		"/pk/another/pk/dn/update":             false,
		"/x/pk/dn/update":                      false,
		"pk/dn/update":                         false,
		"/sys/x/pk/dn":                         false,
		"/user/pk/dn/get":                      false,
		"/ota/pk/dn":                           false,
		"/ext/rrpc/1/x/pk/dn":                  false,
		"/pk":                                  false,
		"/":                                    false,
		"#":                                    false,
		"/+/+/get":                             false,
		"/broadcast/pk/all":                    false,
	} {
		if got := d.owns(topic); got != want {
			t.Errorf("%s: %v", topic, got)
		}
	}
}
