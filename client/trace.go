package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"airbridged/client/api"
)

// Traffic is one line of the daemon's flight recorder: what went between it and
// the module, with every secret, topic and payload taken out.
type Traffic struct {
	api.Traffic

	// Gap is set in place of all else: so many lines were overwritten before they
	// could be read.
	Gap int `json:"-"`
}

// Trace returns what the flight recorder holds: the last traffic with the
// module, oldest first.
func (c *Client) Trace(ctx context.Context) ([]Traffic, error) {
	resp, err := c.send(ctx, http.MethodGet, "/v1/trace", nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return ReadTrace(resp.Body)
}

// ReadTrace reads traffic as GET /v1/trace writes it and as the daemon's dumps in
// its state directory hold it. Lines that are no traffic are passed over.
func ReadTrace(r io.Reader) ([]Traffic, error) {
	var list []Traffic
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var head struct{ Type string }
		if err := json.Unmarshal(lines.Bytes(), &head); err != nil {
			return list, fmt.Errorf("trace of airbridged: %w", err)
		}
		t, ok, err := decodeTraffic(head.Type, lines.Bytes())
		if err != nil {
			return list, fmt.Errorf("trace of airbridged: %w", err)
		}
		if ok {
			list = append(list, t)
		}
	}
	return list, lines.Err()
}

// FollowTrace is Trace and goes on with traffic as it comes.
func (c *Client) FollowTrace(ctx context.Context) (*Stream[Traffic], error) {
	return openStream(ctx, c, "/v1/trace?follow=1", decodeTraffic)
}

// decodeTraffic is the decoder of traces.
func decodeTraffic(kind string, data []byte) (t Traffic, ok bool, err error) {
	switch kind {
	case api.TrafficLine:
		err = json.Unmarshal(data, &t)
		return t, err == nil, err
	case api.GapLine:
		var gap api.Gap
		err = json.Unmarshal(data, &gap)
		return Traffic{Gap: gap.Dropped}, err == nil, err
	}
	return t, false, nil
}
