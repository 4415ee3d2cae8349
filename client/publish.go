package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"airbridged/client/api"
)

// QoS is how a message is carried. The zero value means [AtLeastOnce]; it is a
// word and not a number so that nobody gets 0 for want of saying 1. The cloud
// has no QoS 2.
type QoS string

const (
	// AtLeastOnce: kept until the cloud has acknowledged it (QoS 1).
	AtLeastOnce QoS = "1"
	// AtMostOnce: held in memory and sent once, best effort (QoS 0).
	AtMostOnce QoS = "0"
)

// Priority is which messages go first. The zero value means
// [PriorityNormal].
type Priority = api.Priority

// Priorities, the highest first. Within one, the order is that of acceptance.
const (
	PriorityHigh   = api.PriorityHigh
	PriorityNormal = api.PriorityNormal
	PriorityLow    = api.PriorityLow
)

// PublishOptions say how a message is to be treated. The zero value is a
// message that is kept until the cloud acknowledges it. A duration below zero is
// refused.
type PublishOptions struct {
	QoS      QoS
	Wait     time.Duration // wait so long for the final state, at most 1 h; 0: return once it is kept
	TTL      time.Duration // give it up when it is older than this; 0: never
	Priority Priority
	Latest   bool // replace the still unsent message of the same topic

	// Key makes it safe to publish the same once more where no answer came: a repeat
	// with the same topic and payload keeps nothing twice, and is answered as the
	// first was, also after a restart of the daemon. 1 to 64 printable ASCII
	// characters; see [NewKey]. Not with [AtMostOnce]. Empty: none.
	Key string
}

// NewKey returns a key that nobody has used: 26 random characters.
func NewKey() string { return rand.Text() }

// Publish hands a message to the daemon; an empty payload is a message. Of the
// answer, ID, Topic and State are set: [Queued] or [Held] once it is kept, or
// with Wait the state that was met within that time. Look at it: [Expired],
// [Dropped] and [Rejected] are answers, not errors. Warning may be [TopicForeign].
//
// The topic is one of the cloud's own, as in "/PRODUCTKEY/DEVICENAME/update", without
// wildcards. The payload has at most 64 KiB, and at most what the module carries
// ([ErrTooLarge], [ErrNotCarried]). A full outbox is [ErrFull], a full or failing disk
// [ErrTryAgain]. A Key of another message is [ErrKeyReused].
func (c *Client) Publish(ctx context.Context, topic string, payload []byte, o PublishOptions) (Message, error) {
	target := "/v1/publish?topic=" + queryEscape(topic)
	add := func(name, value string) {
		if value != "" {
			target += "&" + name + "=" + queryEscape(value)
		}
	}
	add("qos", string(o.QoS))
	add("priority", string(o.Priority))
	add("wait", durationOption(o.Wait))
	add("ttl", durationOption(o.TTL))
	if o.Latest {
		add("latest", "1")
	}
	var a api.Accepted
	if err := c.do(ctx, http.MethodPost, target, bytes.NewReader(payload), &a, header(keyHeader, o.Key)...); err != nil {
		return Message{}, err
	}
	return Message{ID: a.ID, Topic: topic, State: a.State, Warning: a.Warning}, nil
}

const keyHeader = "Idempotency-Key"

// header is a header for do, if it has a value.
func header(name, value string) []string {
	if value == "" {
		return nil
	}
	return []string{name, value}
}

func durationOption(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return plainDuration(d)
}

// plainDuration is a duration without the zeros that Go writes behind a unit: 2h, not 2h0m0s.
func plainDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
