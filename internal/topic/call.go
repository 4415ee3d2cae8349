package topic

import "strings"

// Call tells of a topic whether the cloud makes calls on it that wait for an answer
// (Aliyun IoT, RRPC, documents 90567 and 90570), with the id of the call and the topic
// that its answer goes to.
func Call(name string) (id, answer string, ok bool) {
	levels := strings.Split(name, "/")
	switch {
	case len(levels) == 7 && levels[0] == "" && levels[1] == "sys" && levels[4] == "rrpc" && levels[5] == "request":
		levels[5] = "response"
		return levels[6], strings.Join(levels, "/"), levels[6] != ""
	case len(levels) >= 4 && levels[0] == "" && levels[1] == "ext" && levels[2] == "rrpc":
		return levels[3], name, levels[3] != ""
	}
	return "", "", false
}

// IsAnswer says whether a topic is one that answers to calls go to.
func IsAnswer(name string) bool {
	levels := strings.Split(name, "/")
	if len(levels) == 7 && levels[0] == "" && levels[1] == "sys" && levels[4] == "rrpc" && levels[5] == "response" {
		return true
	}
	return strings.HasPrefix(name, "/ext/rrpc/")
}
