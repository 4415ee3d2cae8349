package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"airbridged/client/api"
)

// MaxPage is the most messages that one page of the outbox may have.
const MaxPage = 1000

// A part of the outbox, and a message in it.
type (
	OutboxPage    = api.OutboxPage
	OutboxMessage = api.OutboxMessage
)

// Outbox asks for a page of the outbox: the messages behind the id after (""
// for the first page; that message need not exist any more), at most limit of
// them. limit is 1 to [MaxPage]; with 0 the daemon chooses. A page with fewer
// than limit is the last one.
func (c *Client) Outbox(ctx context.Context, after string, limit int) (OutboxPage, error) {
	q := url.Values{}
	if after != "" {
		q.Set("after", after)
	}
	if limit != 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	target := "/v1/outbox"
	if len(q) > 0 {
		target += "?" + q.Encode()
	}
	var p OutboxPage
	err := c.do(ctx, http.MethodGet, target, nil, &p)
	return p, err
}

// OutboxMessages is the whole outbox in the order of acceptance, fetched page by
// page while it is walked. Messages may come and go meanwhile; one that stays is
// seen exactly once. The first error is the last thing it yields.
func (c *Client) OutboxMessages(ctx context.Context) iter.Seq2[OutboxMessage, error] {
	return func(yield func(OutboxMessage, error) bool) {
		after := ""
		for {
			page, err := c.Outbox(ctx, after, MaxPage)
			if err != nil {
				yield(OutboxMessage{}, err)
				return
			}
			for _, m := range page.Messages {
				if !yield(m, nil) {
					return
				}
				after = m.ID
			}
			if len(page.Messages) < MaxPage {
				return
			}
		}
	}
}

// Drop gives up a message that waits; it will not reach the cloud. The error is
// [ErrInFlight] for the one that is being sent right now (it is [ErrTryAgain]
// too), [ErrFinal] for one that nothing can happen to any more, or [ErrUnknown].
func (c *Client) Drop(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/v1/outbox/"+url.PathEscape(id), nil, &api.Drops{})
}

// DropTopic gives up every message that waits and whose topic matches the
// filter, with + for one level and # for all that follow, and returns how many
// that were. The one in flight is passed over. With an error none was dropped.
func (c *Client) DropTopic(ctx context.Context, filter string) (int, error) {
	var d api.Drops
	err := c.do(ctx, http.MethodDelete, "/v1/outbox?topic="+queryEscape(filter), nil, &d)
	return d.Dropped, err
}

// DropForeign gives up every message that was accepted for another device, state
// [Foreign], and returns how many that were. It is for root; others get
// [ErrNotPermitted].
func (c *Client) DropForeign(ctx context.Context) (int, error) {
	var d api.Drops
	err := c.do(ctx, http.MethodDelete, "/v1/outbox?foreign=1", nil, &d)
	return d.Dropped, err
}

// Retarget has these messages sent as this device's: they get its names in their
// topics. It returns how many that were, and is for root as well.
func (c *Client) Retarget(ctx context.Context) (int, error) {
	var r api.Retargets
	err := c.do(ctx, http.MethodPost, "/v1/outbox/retarget", nil, &r)
	return r.Retargeted, err
}
