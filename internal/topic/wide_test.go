package topic_test

import (
	"testing"

	"airbridged/internal/topic"
)

// A wildcard where the product or the device stands, in each family of topics.
func TestWide(t *testing.T) {
	for filter, want := range map[string]bool{
		"#": true, "/#": true, "/+/gw/get": true, "/a1/+/get": true, "/a1/#": true, "/+/+/get": true, "+/+": true, "+/a1/+": true, "/+": true,
		"/a1/gw/#": false, "/a1/gw/+": false, "/a1/gw/+/x": false, "/a1/gw/get": false, "+/a1/gw": false,
		"/sys/+/gw/thing/#": true, "/sys/a1/#": true, "/sys/#": true, "/sys/a1/gw/rrpc/request/+": false, "/sys/a1/gw/#": false,
		"/ext/rrpc/+/#": false, "/ext/rrpc/#": false, "/ext/session/+/gw/combine/login": true, "/ext/ntp/a1/gw/response": false, "/ext/#": true,
		"/ota/device/upgrade/a1/+": true, "/ota/device/upgrade/a1/gw": false, "/ota/#": true,
		"/shadow/get/a1/gw": false, "/shadow/get/+/gw": true, "/broadcast/a1/+": false, "/broadcast/+/x": true, "/broadcast/a1/#": false,
		"TopicA/+": false, "TopicA/#": false, "a": false,
	} {
		if got := topic.Wide(filter); got != want {
			t.Errorf("Wide(%q) = %v, want %v", filter, got, want)
		}
	}
}
