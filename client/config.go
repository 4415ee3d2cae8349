package client

import (
	"context"
	"net/http"

	"airbridged/client/api"
)

// The configuration of the daemon as it is in effect.
type (
	Config  = api.Config
	Setting = api.Setting
)

// Config asks for the configuration that is in effect, and where each value stands. No
// secret is in it.
func (c *Client) Config(ctx context.Context) (Config, error) {
	var cfg Config
	err := c.do(ctx, http.MethodGet, "/v1/config", nil, &cfg)
	return cfg, err
}
