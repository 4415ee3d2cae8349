package client

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"airbridged/client/api"
)

// Call is a request of the cloud that waits for an answer.
type Call struct {
	ID      string
	Topic   string
	Payload []byte
	Until   time.Time // from then on nobody waits for the answer
}

func decodeCall(data []byte) (*Call, error) {
	var l api.Call
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, err
	}
	payload, err := decodePayload(l.Payload, l.Encoding)
	if err != nil {
		return nil, err
	}
	return &Call{ID: l.ID, Topic: l.Topic, Payload: payload, Until: time.Now().Add(time.Duration(l.DeadlineMS) * time.Millisecond)}, nil
}

// Answer answers a call. It goes to the cloud before everything else, with QoS 0, and is
// never stored: a [Problem] with status 410 says that the call's time is over.
func (c *Client) Answer(ctx context.Context, id string, payload []byte) error {
	return c.do(ctx, http.MethodPost, "/v1/rrpc/"+url.PathEscape(id), bytes.NewReader(payload), &api.Answered{})
}
