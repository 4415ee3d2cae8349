// Package topic is the rule for topics and topic filters: which ones this
// gateway takes, and which topics fall under a filter. Everybody who asks, asks
// here: the configuration, the local interfaces and the hub.
//
// Whose topic it is shows in its levels (see [OfDevice]); what the module's AT commands can carry
// is package air's to say.
package topic

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a topic at the cloud (Aliyun IoT limits, document 30527). The
// module itself would take 256 bytes (AT manual, MPUB), so the cloud's are the
// ones that bind.
const (
	// MaxBytes is the length of the longest topic or filter, in UTF-8.
	MaxBytes = 128
	// MaxSlashes is the largest number of slashes in a topic or filter.
	MaxSlashes = 7
)

// LocalPrefix begins the topics that never leave the gateway.
const LocalPrefix = "$airbridge/"

// IsLocal says whether a topic or filter is one that the daemon keeps to itself.
func IsLocal(name string) bool { return strings.HasPrefix(name+"/", LocalPrefix) }

// Check says why a topic cannot be published to, or nil. Wildcards are for
// filters (MQTT 3.1.1 section 4.7.1). Local topics ([LocalPrefix]) are good ones:
// who may publish to them is not decided here.
func Check(name string) error {
	if err := checkName("topic", name); err != nil {
		return err
	}
	if i := strings.IndexAny(name, "+#"); i >= 0 {
		return fmt.Errorf("topic has the wildcard %q at offset %d; a message is published to one topic", name[i], i)
	}
	return nil
}

// CheckFilter says why a filter cannot be subscribed to, or nil. A wildcard
// stands for a whole level, and # only for the last (MQTT 3.1.1 section 4.7.1).
func CheckFilter(filter string) error {
	if err := checkName("filter", filter); err != nil {
		return err
	}
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		switch {
		case strings.ContainsAny(level, "+#") && len(level) > 1:
			return fmt.Errorf("filter level %q mixes a wildcard with text; + and # stand for a whole level", level)
		case level == "#" && i != len(levels)-1:
			return errors.New("filter has # before its last level; # stands for all that follows")
		}
	}
	return nil
}

// checkName holds what topics and filters have in common.
func checkName(what, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("%s is empty", what)
	case len(s) > MaxBytes:
		return fmt.Errorf("%s has %d bytes; the cloud takes %d", what, len(s), MaxBytes)
	case strings.Count(s, "/") > MaxSlashes:
		return fmt.Errorf("%s has %d slashes; the cloud takes %d", what, strings.Count(s, "/"), MaxSlashes)
	case !utf8.ValidString(s):
		return fmt.Errorf("%s is not valid UTF-8", what)
	}
	for i, r := range s {
		if name, why := refused(r); name != "" {
			return fmt.Errorf("%s has %s at offset %d%s", what, name, i, why)
		}
	}
	return nil
}

// refused names a character that no topic may have, with the reason where the
// name does not say it; the name of a good one is empty. This is the one list of
// them. Control characters, quotes and backslashes could leave their argument of
// an AT command; blanks because the cloud's level names have none and a pasted
// one would send messages where nobody listens; what is not printed because a topic
// is read by people, in logs and on terminals, which it could steer or deceive: C1
// controls, other directions (bidi), line ends of Unicode, and what shows nothing.
func refused(r rune) (name, why string) {
	switch {
	case r < 0x20 || r == 0x7f || r == '\ufffe' || r == '\uffff':
		return fmt.Sprintf("the control character %U", r), ""
	case r == '"' || r == '\\':
		return fmt.Sprintf("%q", r), ", which no AT command can carry in a topic"
	case r == ' ':
		return "a blank", "; topics of the cloud have none (a stray one from copying?)"
	case !unicode.IsPrint(r):
		return fmt.Sprintf("the character %U", r), ", which is not printed (a stray one from copying?)"
	}
	return "", ""
}

// Match says whether a topic falls under a filter, both taken as valid. A
// leading wildcard does not match a topic that begins with $ (MQTT 3.1.1
// section 4.7.2).
func Match(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && (strings.HasPrefix(filter, "+") || strings.HasPrefix(filter, "#")) {
		return false
	}
	for {
		f, restFilter, moreFilter := strings.Cut(filter, "/")
		if f == "#" {
			return true
		}
		t, restTopic, moreTopic := strings.Cut(topic, "/")
		if f != "+" && f != t {
			return false
		}
		switch {
		case !moreFilter && !moreTopic:
			return true
		case moreFilter && !moreTopic:
			// "sport/#" also matches "sport" (MQTT 3.1.1 section 4.7.1.2).
			return restFilter == "#"
		case !moreFilter:
			return false
		}
		filter, topic = restFilter, restTopic
	}
}

// Covers says whether every topic that falls under the filter inner falls under the
// filter outer as well, both taken as valid.
func Covers(outer, inner string) bool {
	if strings.HasPrefix(inner, "$") && (strings.HasPrefix(outer, "+") || strings.HasPrefix(outer, "#")) {
		return false
	}
	for {
		o, restOuter, moreOuter := strings.Cut(outer, "/")
		i, restInner, moreInner := strings.Cut(inner, "/")
		switch {
		case o == "#":
			return true
		case i == "#", o != "+" && o != i:
			return false
		case !moreOuter && !moreInner:
			return true
		case moreOuter && !moreInner:
			return restOuter == "#"
		case !moreOuter:
			return false
		}
		outer, inner = restOuter, restInner
	}
}
