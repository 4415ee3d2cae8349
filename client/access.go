package client

import (
	"context"
	"net/http"

	"airbridged/client/api"
)

// AccessQuery asks what the access rules say of a program.
type AccessQuery struct {
	User   string // name or number; "", with Client "": whoever asks
	Client string // a name of mqtt.password_file
	Action string // "publish" or "subscribe"
	Topic  string // to subscribe: a filter
}

// Access tells which access rule decides, and how. Of others it tells root and the
// daemon's user alone, where there are rules: else [ErrNotPermitted].
func (c *Client) Access(ctx context.Context, q AccessQuery) (a api.Access, err error) {
	target := "/v1/access?action=" + queryEscape(q.Action) + "&topic=" + queryEscape(q.Topic)
	if q.User != "" {
		target += "&user=" + queryEscape(q.User)
	}
	if q.Client != "" {
		target += "&client=" + queryEscape(q.Client)
	}
	err = c.do(ctx, http.MethodGet, target, nil, &a)
	return a, err
}
