package topic

import "strings"

// places are how many levels stand before the names of product and device, by the first
// of them: /sys/KEY/NAME/..., /shadow/update/KEY/NAME, /ext/ntp/KEY/NAME/request,
// /ota/device/inform/KEY/NAME (Aliyun IoT, topics of a device). All others begin with them.
var places = map[string]int{"sys": 1, "shadow": 2, "ext": 2, "ota": 3}

// rrpc is where an answer to the cloud carries a topic of one's own, /ext/rrpc/ID/TOPIC
// (Aliyun IoT, RRPC).
const rrpc = "/ext/rrpc/"

// owner are the levels of a topic or filter where the names stand.
func owner(name string) (key, device string, ok bool) {
	if rest, is := strings.CutPrefix(name, rrpc); is {
		_, own, _ := strings.Cut(rest, "/")
		return owner("/" + own)
	}
	rest, ok := strings.CutPrefix(name, "/")
	if !ok {
		return "", "", false
	}
	levels := strings.Split(rest, "/")
	at := places[levels[0]]
	if len(levels) <= at+1 {
		return "", "", false
	}
	return levels[at], levels[at+1], true
}

// OfDevice says whether a topic or filter is a device's own: its names stand where the
// cloud has them. Where else they stand, it is somebody's topic. An empty device is one
// whose name is not known yet, and may be any.
func OfDevice(name, key, device string) bool {
	k, d, ok := owner(name)
	return ok && k == key && (device == "" || d == device)
}

// Names says whether a filter names the device of a topic that falls under it, so that
// somebody meant that one: wildcards stand elsewhere.
func Names(filter, name string) bool {
	key, device, ok := owner(filter)
	return ok && Match(filter, name) && !strings.ContainsAny(key+device, "+#")
}

// Own is a topic of a device by what stands in it beside the names: "update" is
// /KEY/NAME/update. The cloud's own are thing/..., which is under /sys, shadow/update and
// shadow/get, ntp/request, and ota/inform, ota/progress.
func Own(what, key, device string) string {
	names := key + "/" + device
	head, rest, _ := strings.Cut(what, "/")
	switch {
	case head == "thing":
		return "/sys/" + names + "/" + what
	case head == "shadow" && rest != "":
		return "/shadow/" + rest + "/" + names
	case head == "ntp" && rest != "":
		return "/ext/ntp/" + names + "/" + rest
	case head == "ota" && rest != "":
		return "/ota/device/" + rest + "/" + names
	}
	return "/" + names + "/" + what
}
