package metrics

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A hundred scrapes at the same moment cost as much as two, and every one of them
// gets a page that was begun after it asked: they were gathered four at a time, and
// the others refused, a Prometheus among them.
func TestScrapesShareAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun atomic.Int32
		p := pagesOf(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			n := begun.Add(1)
			time.Sleep(time.Second)
			_, _ = w.Write([]byte{'0' + byte(n)})
		}))
		scrape := func() string {
			w := httptest.NewRecorder()
			p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			return w.Body.String()
		}
		var all sync.WaitGroup
		all.Go(func() {
			if got := scrape(); got != "1" {
				t.Errorf("the first one got page %s", got)
			}
		})
		time.Sleep(time.Millisecond) // the first page is being made
		for range 100 {
			all.Go(func() {
				if got := scrape(); got != "2" {
					t.Errorf("one that asked while page 1 was made got page %s", got)
				}
			})
			time.Sleep(time.Millisecond)
		}
		all.Wait()
		if got := scrape(); got != "3" || begun.Load() != 3 {
			t.Errorf("one that asks later gets page %s, of %d", got, begun.Load())
		}
	})
}

// A page that cannot be made is an error of those who wait for it, and the next
// one is made again.
func TestPageThatPanics(t *testing.T) {
	first := true
	p := pagesOf(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if first {
			first = false
			panic("a collector broke")
		}
		_, _ = w.Write([]byte("up 1\n"))
	}))
	func() {
		defer func() { _ = recover() }() // net/http's business
		p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}()
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != 200 || w.Body.String() != "up 1\n" {
		t.Errorf("afterwards: %d %q", w.Code, w.Body)
	}
}
