package session

import (
	"errors"
	"fmt"
	"strings"

	"airbridged/internal/outbox"
	"airbridged/internal/recovery"
)

// A device may use the topics that carry its own names. What it publishes to
// any other, the cloud acknowledges and drops, and the module prints a SUBACK for
// a refused filter as for a granted one (user reports; Aliyun IoT console,
// "No authorization"). Nothing comes back that could be noticed, so it is noticed
// by the topic, and told once for each.

// foreignMost bounds the topics that are remembered as told; beyond it nothing
// more is told, because by then the operator knows.
const foreignMost = 32

// own says whether a topic or filter carries the device's names, one level after
// the other, as all topics of a device do (/KEY/NAME/..., /sys/KEY/NAME/...).
func (s *Session) own(topic string) bool {
	names := "/" + s.identity.ProductKey + "/" + s.identity.DeviceName + "/"
	return strings.Contains(topic+"/", names)
}

// foreignTries is how many sessions in a row may end over one message to such a
// topic before it is set aside: one user report has the cloud close the connection
// instead, and then everything behind that message would wait for ever.
const foreignTries = 3

// endsSessions says whether a message to a foreign topic has ended its last session.
func (s *Session) endsSessions(m outbox.Message, why error) bool {
	var f *recovery.Failure
	if s.own(m.Topic) || !errors.As(why, &f) || f.Cause != recovery.Closed && f.Cause != recovery.Kicked {
		return false
	}
	return s.up.fatal.again(m.ID) >= foreignTries
}

// tellForeign warns of a topic that is not the device's.
func (s *Session) tellForeign(topic, what string) {
	if s.own(topic) || s.foreign[topic] || len(s.foreign) >= foreignMost {
		return
	}
	s.foreign[topic] = true
	s.show.warn("topic-foreign", fmt.Sprintf("%s %s: it does not carry this device's names, so the cloud most likely drops it without a word; "+
		"it should contain /%s/%s/", what, topic, s.identity.ProductKey, s.identity.DeviceName))
}
