package topic

import "strings"

// devices says where the names of product and device stand in the topics of the
// cloud: the level of the product, counted from 0 for what is before the first
// slash, and how many levels belong to the two. Of others they are the first two.
// (Aliyun IoT: what is a topic, document 73731; OTA, shadow, NTP, broadcast.)
var devices = []struct {
	family string
	level  int
	names  int
}{
	{"/sys/", 2, 2},
	{"/ext/rrpc/", 0, 0}, // an id, and a topic of anybody's choice
	{"/ext/", 3, 2},
	{"/ota/", 4, 2},
	{"/shadow/", 3, 2},
	{"/broadcast/", 2, 1},
	{"/", 1, 2},
}

// Wide says whether a filter has a wildcard where the product or the device
// stands. The cloud gives no device the topics of another, and what it would make
// of such a filter is not known.
func Wide(filter string) bool {
	levels := strings.Split(filter, "/")
	if levels[0] == "#" {
		return true
	}
	if levels[0] == "+" { // an empty level, too
		filter = strings.TrimPrefix(filter, "+")
	}
	for _, d := range devices {
		if !strings.HasPrefix(filter, d.family) {
			continue
		}
		for i, level := range levels {
			if i > 0 && (level == "#" && i < d.level+d.names || level == "+" && i >= d.level && i < d.level+d.names) {
				return true
			}
		}
		return false
	}
	return false
}
