package simcloud

import (
	"strings"
	"unicode/utf8"
)

// The simulated cloud judges topics by rules of its own: a mistake in the
// daemon's must not stand here a second time.

// topicMostBytes and topicMostSlashes are the cloud's limits of a topic or filter, in bytes and slashes
// (Aliyun IoT limits, document 30527).
const topicMostBytes, topicMostSlashes = 128, 7

// goodTopic says whether the cloud takes a topic to publish to (MQTT 3.1.1
// sections 4.7.1 and 1.5.3).
func goodTopic(s string) bool {
	return goodName(s) && !strings.ContainsAny(s, "+#")
}

// goodFilter says whether the cloud takes a filter: each wildcard is a level of
// its own, and # is the last.
func goodFilter(s string) bool {
	if !goodName(s) {
		return false
	}
	for level, rest, more := strings.Cut(s, "/"); ; level, rest, more = strings.Cut(rest, "/") {
		if strings.ContainsAny(level, "+#") && level != "+" && (level != "#" || more) {
			return false
		}
		if !more {
			return true
		}
	}
}

func goodName(s string) bool {
	slashes := 0
	for _, r := range s {
		if r == '/' {
			slashes++
		}
		if r < 0x20 || r == 0x7f || r&0xfffe == 0xfffe {
			return false
		}
	}
	return s != "" && utf8.ValidString(s) && len(s) <= topicMostBytes && slashes <= topicMostSlashes
}

// falls says whether a topic falls under a filter, both of them good ones: MQTT
// 3.1.1 section 4.7 read literally, level by level.
func falls(topic, filter string) bool {
	if topic[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	return levelsFall(strings.Split(topic, "/"), strings.Split(filter, "/"))
}

func levelsFall(topic, filter []string) bool {
	switch {
	case len(filter) == 0:
		return len(topic) == 0
	case filter[0] == "#":
		return true // the parent level and any number of child levels
	case len(topic) == 0:
		return false
	}
	return (filter[0] == "+" || filter[0] == topic[0]) && levelsFall(topic[1:], filter[1:])
}
