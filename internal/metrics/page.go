package metrics

import (
	"bytes"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// pages makes the page for everybody who waits for it at once. One is made at a
// time; who asks meanwhile gets the next one, which is begun after he asked. So a
// thousand scrapes cost as much as two, and hold one page in memory.
type pages struct {
	render http.Handler

	one chan struct{} // has one place: a page is being made

	mu   sync.Mutex
	next *made // that is not begun yet; nil: nobody waits for one
}

// made is one page, as it was answered.
type made struct {
	done   chan struct{} // closed when it is made
	code   int           // 0: making it panicked
	header http.Header
	body   bytes.Buffer
}

func newPages(registry *prometheus.Registry) *pages {
	return pagesOf(promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorHandling:      promhttp.ContinueOnError, // a page without one collector beats none
		DisableCompression: true,                     // it goes over a local socket
	}))
}

func pagesOf(render http.Handler) *pages { return &pages{render: render, one: make(chan struct{}, 1)} }

// ServeHTTP answers with a page that is not older than the request.
func (p *pages) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	m := p.get()
	for name, values := range m.header {
		w.Header()[name] = values
	}
	if m.code == 0 {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(m.code)
	_, _ = w.Write(m.body.Bytes())
}

// get returns a page; the first one who asks for it makes it.
func (p *pages) get() *made {
	p.mu.Lock()
	m, first := p.next, p.next == nil
	if first {
		m = &made{done: make(chan struct{}), header: http.Header{}}
		p.next = m
	}
	p.mu.Unlock()
	if first {
		p.make(m)
	}
	<-m.done
	return m
}

func (p *pages) make(m *made) {
	p.one <- struct{}{}
	defer func() { <-p.one }()
	defer close(m.done)
	p.mu.Lock()
	p.next = nil // who asks from here on gets the next one
	p.mu.Unlock()
	// Without an Accept header it is the text format, whoever asks.
	p.render.ServeHTTP(m, &http.Request{Method: http.MethodGet, Header: http.Header{}})
}

// Header is what the page's handler says of it.
func (m *made) Header() http.Header { return m.header }

// WriteHeader is the status line.
func (m *made) WriteHeader(code int) { m.code = code }

// Write is a part of the body.
func (m *made) Write(b []byte) (int, error) {
	if m.code == 0 {
		m.code = http.StatusOK
	}
	return m.body.Write(b)
}
