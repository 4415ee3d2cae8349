package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/airsim/simcloud"
	"airbridged/internal/fair"
	"airbridged/internal/web"
)

//go:embed page
var pageFiles embed.FS

// Bounds of the page.
const (
	mostPages  = 8                      // open at once
	frameEvery = 250 * time.Millisecond // so often each is told what is new
	linesKept  = 500                    // of the line, and messages of the cloud
	textShown  = 500                    // bytes of a line or a payload
	mostOrder  = 4 << 10                // bytes of an order
)

// orderHeader has to be there with an order: the page of another site cannot send it
// without asking first, and is not answered.
const orderHeader = "X-Airsim"

// page shows the line and the cloud to people, and gives their orders to both.
type page struct {
	module *airsim.Module
	cloud  *simcloud.Cloud
	what   string // the firmware family
	topic  string // that a message down could be on
	line   tape[talk]
	taken  tape[message]
	pages  atomic.Int64
}

// talk is one line of the dialogue.
type talk struct {
	At   time.Time `json:"at"`
	Dir  string    `json:"dir"`
	Text string    `json:"text"`
}

// message is one that the cloud has received.
type message struct {
	At      time.Time `json:"at"`
	Topic   string    `json:"topic"`
	Payload string    `json:"payload"`
}

// frame is what a page is told at once.
type frame struct {
	What  string    `json:"what"`
	Topic string    `json:"topic"`
	Talk  []talk    `json:"talk,omitempty"`
	Cloud []message `json:"cloud,omitempty"`
	Facts [][2]any  `json:"facts"`
}

// tape keeps the last of what it is given.
type tape[T any] struct {
	mu   sync.Mutex
	kept []T
	all  int // that were ever given
}

func (t *tape[T]) add(v T) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, v)
	t.all++
	if len(t.kept) >= 2*linesKept {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-linesKept:]...)
	}
}

// after returns what came behind the first n, as far as it is kept, and how many there
// were in all.
func (t *tape[T]) after(n int) ([]T, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fresh := min(t.all-n, len(t.kept), linesKept)
	return append([]T(nil), t.kept[len(t.kept)-fresh:]...), t.all
}

// watch has a simulation tell the page what happens. It is to be called before that is
// made.
func (p *page) watch(s *settings) {
	p.what = s.module.Personality
	for key := range s.cloud.Products {
		p.topic = "/" + key + "/" + s.module.IMEI + "/get"
	}
	printed := s.module.Log
	s.module.Log = func(dir, text string) {
		p.line.add(talk{time.Now(), dir, cut(text)})
		if printed != nil {
			printed(dir, text)
		}
	}
	s.cloud.Observe = func(h simcloud.Happening) {
		if h.Kind == simcloud.MessageTaken {
			p.taken.add(message{h.Message.At, h.Message.Topic, cut(said(h.Message))})
		}
	}
}

// said is what a message says: its readings, where there are several in it.
func said(m simcloud.Received) string {
	switch {
	case m.Trouble != "":
		return "cannot be unpacked: " + m.Trouble
	case m.Readings == nil:
		return string(m.Payload)
	}
	return fmt.Sprintf("%d readings: %s", len(m.Readings), bytes.Join(m.Readings, []byte(" ")))
}

func cut(s string) string {
	if len(s) > textShown {
		s = s[:textShown] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// serve answers on l until ctx ends. It closes l.
func (p *page) serve(ctx context.Context, l net.Listener) error {
	files := web.Files{From: pageFiles, Dir: "page"}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { files.Serve(w, "") })
	mux.HandleFunc("GET /page/{file}", func(w http.ResponseWriter, r *http.Request) {
		if !files.Serve(w, r.PathValue("file")) {
			http.NotFound(w, r)
		}
	})
	mux.HandleFunc("GET /page/live", func(w http.ResponseWriter, r *http.Request) { p.live(ctx, w, r) })
	mux.HandleFunc("POST /page/do", p.order)
	door := fair.Door{Log: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		web.Close(w.Header())
		err := web.Foreign(r)
		if err == nil && !web.Named(r.Host) {
			err = errors.New("ask for localhost or the address")
		}
		if err != nil {
			http.Error(w, "Refused: "+err.Error()+".", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})}
	if err := door.Serve(ctx, l); err != nil {
		return fmt.Errorf("--web: %w", err)
	}
	return nil
}

// live is the stream of one page.
func (p *page) live(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		return
	}
	defer p.pages.Add(-1)
	if p.pages.Add(1) > mostPages {
		http.Error(w, "Too many of these pages are open: close one.", http.StatusServiceUnavailable)
		return
	}
	either, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	lines, messages := 0, 0
	_ = web.Stream(either, w, frameEvery, func() any {
		f := frame{What: p.what, Topic: p.topic, Facts: p.facts()}
		f.Talk, lines = p.line.after(lines)
		f.Cloud, messages = p.taken.after(messages)
		return f
	})
}

// facts are the counters that tell a story.
func (p *page) facts() [][2]any {
	m, c := p.module.Counters(), p.cloud.Counters()
	return [][2]any{
		{"Logins", c.Connects},
		{"Logins refused", c.Refused},
		{"Messages taken", c.Publishes},
		{"PUBACKs", c.PubAcks},
		{"Messages down", c.Delivered},
		{"Restarts of the module", m.Reboots},
		{"Faults so far", m.Faults},
	}
}

// order gives one to the module, or to the cloud behind it.
func (p *page) order(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(orderHeader) == "" {
		http.Error(w, "An order needs the header "+orderHeader+".", http.StatusForbidden)
		return
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostOrder))
	if err != nil {
		http.Error(w, "The order cannot be read, or is over 4 KiB.", http.StatusRequestEntityTooLarge)
		return
	}
	answer, err := p.module.Do(string(text))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, answer)
}

// loopback refuses an address that others could reach: nobody is asked for a password.
func loopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err == nil && host == "localhost" {
		return nil
	}
	if addr, wrong := netip.ParseAddr(host); err == nil && wrong == nil && addr.IsLoopback() {
		return nil
	}
	return errors.New("--web is a loopback address with a port, such as 127.0.0.1:0, where 0 is any that is free")
}
