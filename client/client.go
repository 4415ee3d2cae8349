// Package client lets a Go program send and receive through airbridged, the
// daemon that owns the cellular module.
//
//	c := client.New("") // $AIRBRIDGE_SOCKET, or the usual place
//	defer c.Close()
//	m, err := c.Publish(ctx, "/a1b2c3/gw-1/update", []byte("21.5"), client.PublishOptions{})
//
// A nil error from Publish means that the daemon has the message and brings it
// to the cloud at least once, now or when there is a network again; a *[Problem]
// or [ErrUnreachable] means that it was not kept. Any other error (the context
// ended, the connection broke) leaves open which of the two it is.
//
// Nothing is retried here, and no call has a time limit of its own: the context
// says how long to wait. Every call may fail with [ErrUnreachable], with
// [ErrNotPermitted] where the socket may not be opened, with what the context ended
// with, or with a *[Problem]; its own comment names what else to test for with
// errors.Is. A nil pointer in an answer is a value that is not known. A newer daemon
// may send more than these types hold, and words that are not listed here.
//
// A Client is safe for concurrent use; it talks HTTP/1.1 over a Unix socket and uses
// the standard library only.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"airbridged/client/api"
)

// SocketVariable names the environment variable with the socket's path.
const SocketVariable = "AIRBRIDGE_SOCKET"

// DefaultSocket is where the daemon listens if nobody says otherwise.
const DefaultSocket = "/run/airbridged/airbridged.sock"

// maxAnswer bounds an answer that is one document, in bytes.
const maxAnswer = 1 << 20

// Client talks to one daemon. [New] makes one; the zero value is of no use.
type Client struct {
	socket string
	http   *http.Client
}

// New returns a client of the daemon that listens on socket; "" means
// $AIRBRIDGE_SOCKET or, without that, [DefaultSocket]. Nothing is dialled yet. The
// path of a Unix socket has at most 107 bytes.
func New(socket string) *Client {
	if socket == "" {
		socket = os.Getenv(SocketVariable)
	}
	if socket == "" {
		socket = DefaultSocket
	}
	var d net.Dialer
	return &Client{socket: socket, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", socket)
		},
		// The daemon gives up idle connections after 60 s. To be first avoids a
		// request on a connection that is just being closed.
		IdleConnTimeout:     30 * time.Second,
		MaxIdleConnsPerHost: 4,
		DisableCompression:  true,
	}}}
}

// Socket is the path that the client dials.
func (c *Client) Socket() string { return c.socket }

// Close closes idle connections. The client can still be used.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Message is what the daemon knows of one message on its way up, and State where
// it stands.
type (
	Message = api.Message
	State   = api.State
)

// States of a message with QoS 1, and of one with QoS 0.
const (
	Queued   = api.Queued
	Foreign  = api.Foreign
	InFlight = api.InFlight
	Acked    = api.Acked
	Expired  = api.Expired
	Dropped  = api.Dropped
	Rejected = api.Rejected

	Held = api.Held
	Sent = api.Sent
)

// TopicForeign is the warning of a message whose topic is not this device's.
const TopicForeign = api.TopicForeign

// Message asks what became of a message. The daemon remembers the last 10,000
// final states until it restarts; errors.Is(err, [ErrUnknown]) is what it says
// of others.
func (c *Client) Message(ctx context.Context, id string) (Message, error) {
	var m Message
	err := c.do(ctx, http.MethodGet, "/v1/messages/"+url.PathEscape(id), nil, &m)
	return m, err
}

// Healthy is nil while the daemon's supervisor makes progress, and [ErrUnhealthy]
// otherwise. It does not say that the cloud is reached; [Client.Status] does.
func (c *Client) Healthy(ctx context.Context) error {
	return c.do(ctx, http.MethodGet, "/healthz", nil, nil)
}

// do sends one request and reads one JSON document into answer, if it is given.
// header is names and values in turn.
func (c *Client) do(ctx context.Context, method, target string, body io.Reader, answer any, header ...string) error {
	resp, err := c.send(ctx, method, target, body, header...)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("answer of airbridged: %w", err)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("answer of airbridged: %w (is %s the socket of another program?)", err, c.socket)
	}
	return nil
}

// send sends one request and returns the answer if it is a success. The caller
// closes its body.
func (c *Client) send(ctx context.Context, method, target string, body io.Reader, header ...string) (*http.Response, error) {
	// The host is never looked up; it says in logs of proxies what this is.
	req, err := http.NewRequestWithContext(ctx, method, "http://airbridged"+target, body)
	if err != nil {
		return nil, fmt.Errorf("request to airbridged: %w", err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.dialError(err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	return nil, readProblem(resp)
}

// dialError tells the errors of getting there, after which nothing was sent,
// from those on the way.
func (c *Client) dialError(err error) error {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "dial" || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("airbridged on %s: %w", c.socket, inWords(trimURL(err)))
	}
	return &connectError{socket: c.socket, err: op.Err}
}

// worded is an error in the words of somebody who does not know Go.
type worded struct {
	error
	words string
}

func (w worded) Error() string { return w.words }
func (w worded) Unwrap() error { return w.error }

// inWords says what a request that was cut short came to.
func inWords(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return worded{err, "no answer in time: it hangs, is stopped, or has very much to do"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return worded{err, "it went away before it had answered"}
	}
	return err
}

// trimURL takes away the method and the made-up URL that net/http puts before
// an error.
func trimURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// queryEscape escapes a value so that every server reads the same: blanks and
// pluses both by percent.
func queryEscape(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
