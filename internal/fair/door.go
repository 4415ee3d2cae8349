package fair

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Bounds of a Door.
const (
	doorConns  = 16               // connections
	doorHeader = 4 << 10          // bytes of request line and headers
	doorRead   = 2 * time.Second  // for a request to arrive whole
	doorWrite  = 10 * time.Second // for an answer to be made and taken; Prometheus gives up after 10 s by default
	doorIdle   = 2 * time.Minute  // for a kept-alive connection's next request

	// netHeader is what net/http takes beyond MaxHeaderBytes.
	netHeader = 4096
)

// Door answers HTTP where any local user may knock and nobody knows who he is: a
// port on loopback, a socket open to all. It holds 16 connections, and a newcomer
// beyond them is let in within 100 ms in place of the one that has been longest
// without a whole request. So somebody who sends his request as soon as he is
// connected gets his answer, however many others never do. A request has 4 KiB of line
// and headers, and 2 s to arrive.
type Door struct {
	Handler http.Handler
	Log     *log.Logger // of net/http's own complaints
}

type guestKey struct{}

// Serve answers on l until ctx ends, and then returns nil; or else says why l
// failed. It closes l and every connection, and every goroutine is gone when it
// returns. A handler that streams has to lift
// the deadlines (http.ResponseController) and to bound how many it serves.
func (d Door) Serve(ctx context.Context, l net.Listener) error {
	var conns sync.WaitGroup
	server := &http.Server{
		Handler:        http.HandlerFunc(d.answer),
		ReadTimeout:    doorRead,
		WriteTimeout:   doorWrite,
		IdleTimeout:    doorIdle,
		MaxHeaderBytes: doorHeader - netHeader + 1,
		ErrorLog:       d.Log,
		BaseContext:    func(net.Listener) context.Context { return ctx },
		ConnContext:    func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, guestKey{}, c) },
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				conns.Add(1)
			case http.StateClosed, http.StateHijacked:
				conns.Done()
			}
		},
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	err := server.Serve(&listener{Listener: l, most: doorConns})
	_ = server.Close()
	conns.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (d Door) answer(w http.ResponseWriter, r *http.Request) {
	if g, ok := r.Context().Value(guestKey{}).(*guest); ok {
		g.turn(true)
		defer g.turn(false)
	}
	d.Handler.ServeHTTP(w, r)
}
