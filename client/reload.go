package client

import (
	"context"
	"fmt"
	"net/http"
)

// Reloaded is what a reload of the daemon's configuration did. Keys are dotted,
// as in "log.level".
type Reloaded struct {
	Changed      []string `json:"changed"`       // changed in the files, and in effect now
	NeedsRestart []string `json:"needs_restart"` // changed in the files, in effect after a restart only
	Warnings     []string `json:"warnings"`      // what works, but not as the files suggest
}

// Mistake is one mistake in the daemon's configuration.
type Mistake struct {
	File   string `json:"file"`
	Line   int    `json:"line"`   // from 1 on
	Column int    `json:"column"` // from 1 on, in bytes
	Key    string `json:"key"`
	Text   string `json:"text"` // what is wrong, and what to do
}

// String is FILE:LINE:COLUMN: key: text.
func (m Mistake) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", m.File, m.Line, m.Column, m.Key, m.Text)
}

// Reload has the daemon read its configuration again, and returns when that is
// in effect. It is all or nothing: with [ErrConfiguration] nothing was changed,
// and Problem.Mistakes lists why. Only root and the daemon's own user may do it;
// others get [ErrNotPermitted].
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	var r Reloaded
	err := c.do(ctx, http.MethodPost, "/v1/reload", nil, &r)
	return r, err
}
