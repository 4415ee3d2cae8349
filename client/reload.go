package client

import (
	"context"
	"net/http"

	"airbridged/client/api"
)

// What a reload of the daemon's configuration did, and a mistake that it found.
type (
	Reloaded = api.Reloaded
	Mistake  = api.Mistake
)

// Reload has the daemon read its configuration again, and returns when that is
// in effect. It is all or nothing: with [ErrConfiguration] nothing was changed,
// and Problem.Mistakes lists why. Only root and the daemon's own user may do it;
// others get [ErrNotPermitted].
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	var r Reloaded
	err := c.do(ctx, http.MethodPost, "/v1/reload", nil, &r)
	return r, err
}
