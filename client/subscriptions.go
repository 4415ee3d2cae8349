package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"airbridged/client/api"
)

// ErrTakenOver ends the stream of a subscription with a name: another reader of this
// name has come.
var ErrTakenOver = errors.New("another reader has taken this subscription over")

// ErrDropped ends it when the subscription was dropped.
var ErrDropped = errors.New("this subscription was dropped")

// Subscription is something that messages are kept for.
type Subscription = api.Subscription

// SubscribeAs is [Client.Subscribe] for a program that must not miss anything: what comes
// down is kept under a name, on the gateway's disk, until [Client.Acknowledge] says that
// it is done with. The stream begins with what is not acknowledged, also what was handed
// out before. filters take the place of those that the name had; without any, it has
// those. A name belongs to the user who used it first: [ErrNotPermitted].
func (c *Client) SubscribeAs(ctx context.Context, name string, filters ...string) (*Stream[Item], error) {
	query := []string{"name=" + queryEscape(name)}
	for _, f := range filters {
		query = append(query, "topic="+queryEscape(f))
	}
	return openStream(ctx, c, "/v1/subscribe?"+strings.Join(query, "&"), decodeItem)
}

// Acknowledge ends a message that came by name, and all before it, and says how many that
// were. When it returns nil, they do not come again. It may be repeated.
func (c *Client) Acknowledge(ctx context.Context, name string, m *Received) (int, error) {
	body, err := json.Marshal(api.Acknowledge{ID: m.ID})
	if err != nil {
		return 0, err
	}
	var a api.Acknowledged
	err = c.do(ctx, http.MethodPost, "/v1/subscriptions/"+url.PathEscape(name)+"/ack", strings.NewReader(string(body)), &a)
	return a.Acknowledged, err
}

// Subscriptions lists all that messages are kept for, the oldest first.
func (c *Client) Subscriptions(ctx context.Context) ([]Subscription, error) {
	var l api.Subscriptions
	err := c.do(ctx, http.MethodGet, "/v1/subscriptions", nil, &l)
	return l.Subscriptions, err
}

// DropSubscription ends one, and returns how many messages were kept for it. kind is only
// needed where a name and a client id are the same; "" is none.
func (c *Client) DropSubscription(ctx context.Context, kind, name string) (int, error) {
	target := "/v1/subscriptions/" + url.PathEscape(name)
	if kind != "" {
		target += "?kind=" + queryEscape(kind)
	}
	var d api.Drops
	err := c.do(ctx, http.MethodDelete, target, nil, &d)
	return d.Dropped, err
}

// endings are the reasons of an end line, but for the daemon's own stop.
var endings = map[string]error{api.EndTakenOver: ErrTakenOver, api.EndDropped: ErrDropped}
