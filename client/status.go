package client

import (
	"context"
	"encoding/json"
	"net/http"

	"airbridged/client/api"
)

// What the daemon's status is made of.
type (
	Status         = api.Status
	Identity       = api.Identity
	Modem          = api.Modem
	NetworkTime    = api.NetworkTime
	Cloud          = api.Cloud
	Outbox         = api.Outbox
	Data           = api.Data
	Warning        = api.Warning
	ProgramData    = api.ProgramData
	StatusCounters = api.Counters
)

// Status asks for the daemon's status.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.do(ctx, http.MethodGet, "/v1/status", nil, &s)
	return s, err
}

// StatusJSON asks for the status as the daemon writes it: one JSON object, in
// which a newer daemon may say more than [Status] knows.
func (c *Client) StatusJSON(ctx context.Context) (json.RawMessage, error) {
	var raw json.RawMessage
	err := c.do(ctx, http.MethodGet, "/v1/status", nil, &raw)
	return raw, err
}
