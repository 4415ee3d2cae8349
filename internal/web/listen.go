package web

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"airbridged/internal/fair"
	"airbridged/internal/passwords"
)

// Bounds of a listener: so many pages may be open at once, of the 16 connections that
// it holds, and so long a wrong password waits for its answer.
const (
	mostPages = 8
	guessTime = time.Second
)

// Listener serves the page and what it reads, and nothing else, where the kernel does
// not say who asks.
type Listener struct {
	Feed *Feed
	// Passwords are those that let somebody in, as they are now; nil, or one that
	// returns nil: nobody is asked for one.
	Passwords func() *passwords.File
	Names     []string // of this machine, besides localhost and its addresses
	Log       *log.Logger

	pages atomic.Int64
}

// Serve answers on s until ctx ends, and then returns nil; or else says why s failed.
// It closes s, and every goroutine is gone when it returns.
func (l *Listener) Serve(ctx context.Context, s net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { File(w, "") })
	mux.HandleFunc("GET /page/{file}", func(w http.ResponseWriter, r *http.Request) {
		if !File(w, r.PathValue("file")) {
			http.NotFound(w, r)
		}
	})
	mux.HandleFunc("GET /page/live", func(w http.ResponseWriter, r *http.Request) { l.live(ctx, w, r) })
	door := fair.Door{Log: l.Log, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Close(w.Header())
		if l.admits(w, r) {
			mux.ServeHTTP(w, r)
		}
	})}
	if err := door.Serve(ctx, s); err != nil {
		return fmt.Errorf("web: %w", err)
	}
	return nil
}

// admits says whether a request may be answered, and answers it where not.
func (l *Listener) admits(w http.ResponseWriter, r *http.Request) bool {
	if err := Foreign(r); err != nil {
		http.Error(w, "Refused: "+err.Error()+".", http.StatusForbidden)
		return false
	}
	if !Named(r.Host, l.Names...) {
		http.Error(w, "Refused: this machine does not go by the name in Host. Ask for it by its address, by localhost or by its host name; "+
			"a proxy in front has to send one of these as Host.", http.StatusForbidden)
		return false
	}
	if l.Passwords == nil {
		return true
	}
	file := l.Passwords()
	if file == nil {
		return true
	}
	name, password, given := r.BasicAuth()
	if given && file.Check(name, []byte(password)) {
		return true
	}
	if given {
		select {
		case <-time.After(guessTime):
		case <-r.Context().Done():
		}
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="airbridged", charset="UTF-8"`)
	http.Error(w, "Name and password are those of web.password_file.", http.StatusUnauthorized)
	return false
}

// live is the stream of one page.
func (l *Listener) live(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		return
	}
	defer l.pages.Add(-1)
	if l.pages.Add(1) > mostPages {
		w.Header().Set("Retry-After", "10")
		http.Error(w, "Too many of these pages are open: close one.", http.StatusServiceUnavailable)
		return
	}
	either, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	_ = l.Feed.Live(either, w, Everything) // the page is gone, or takes nothing
}
