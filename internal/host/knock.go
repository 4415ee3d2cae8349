package host

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/activation"

	"airbridged/client/api"
	"airbridged/internal/fair"
)

// How long a daemon that cannot run answers those who knock. The first is enough for
// one who waits already, the connection that made systemd start it. The second keeps
// the starts that more of them cause far from the unit's limit of 20 in 30 s, at which
// systemd closes the sockets.
const (
	knockTime  = 200 * time.Millisecond
	answerTime = 4 * time.Second
)

// AnswerKnocks is for a daemon that is about to leave because of its configuration. The
// programs that wait at its inherited sockets are told so: otherwise systemd would
// start it again for each of them at once, twenty times, and close the sockets for good.
// Where nobody knocks it returns at once.
func AnswerKnocks(p api.Problem) {
	given, err := activation.ListenersWithNames()
	if err != nil || len(given) == 0 {
		return
	}
	answerKnocks(given, p, answerTime)
}

func answerKnocks(given map[string][]net.Listener, p api.Problem, stay time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), knockTime)
	defer func() { cancel() }()
	knocked := make(chan struct{}, 1)
	serving, stop := context.WithCancel(context.Background())
	defer stop()
	var running sync.WaitGroup
	for name, list := range given {
		for _, l := range list {
			d := &door{Listener: l, knocked: knocked}
			running.Go(func() {
				if name == "api" {
					_ = fair.Door{Handler: refusal(p)}.Serve(serving, d)
					return
				}
				_ = TurnAway(context.Background(), d)
			})
			defer func() { _ = l.Close() }()
		}
	}
	select {
	case <-ctx.Done():
	case <-knocked:
		time.Sleep(stay)
	}
	for _, list := range given {
		for _, l := range list {
			_ = l.Close()
		}
	}
	stop()
	running.Wait()
}

// door tells of the first connection.
type door struct {
	net.Listener
	knocked chan<- struct{}
	once    atomic.Bool
}

func (d *door) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err == nil && d.once.CompareAndSwap(false, true) {
		select {
		case d.knocked <- struct{}{}:
		default:
		}
	}
	return c, err
}

// refusal answers everything with one problem.
func refusal(p api.Problem) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Retry-After", "30")
		w.Header().Set("Connection", "close")
		w.WriteHeader(p.Status)
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(p)
	})
}
