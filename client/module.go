package client

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"airbridged/client/api"
)

// ATReply is what the module answered to a command.
type ATReply = api.ATReply

// AT gives the module one AT command; only root and the daemon's own user may. An
// ERROR of the module is an answer, not an error. Commands that do more than ask
// are refused with [ErrHarmful] unless force is set; after one of those the
// daemon's session begins anew. Some are refused in any case. [ErrTryAgain]: there
// is no module, or it is busy. Others get [ErrNotPermitted].
func (c *Client) AT(ctx context.Context, command string, force bool) (ATReply, error) {
	var r ATReply
	body, err := json.Marshal(api.ATCommand{Command: command, Force: force})
	if err == nil {
		err = c.do(ctx, http.MethodPost, "/v1/at", bytes.NewReader(body), &r)
	}
	return r, err
}

// Reconnect has the daemon make its next attempt now instead of waiting for it, at most
// 5 times a minute for all programs together; more is [ErrTryAgain]. It returns when
// that will be: now, or later where the cloud's limits want it; the zero time while the
// daemon is online.
func (c *Client) Reconnect(ctx context.Context) (next time.Time, err error) {
	var answer api.Reconnecting
	if err = c.do(ctx, http.MethodPost, "/v1/reconnect", nil, &answer); err == nil && answer.NextAttemptAt != nil {
		next = *answer.NextAttemptAt
	}
	return next, err
}

// Reprovision registers the device at the cloud once more; only root may. done
// says that the new secret is stored; without an error it may still be under way,
// and [Client.Events] tells what becomes of it. With an error the device keeps its
// old secret; [ErrTryAgain] says that there is no module to do it, or that it is busy.
func (c *Client) Reprovision(ctx context.Context) (done bool, err error) {
	var answer api.Registration
	err = c.do(ctx, http.MethodPost, "/v1/reprovision?yes=1", nil, &answer)
	return answer.State == api.Registered, err
}
