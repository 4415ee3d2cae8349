package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"airbridged/client"
)

// soakFaults is what may strike, in the simulator's language, with what mends
// it. Faults that no program could survive knowingly (a doubled PUBACK, see
// internal/session) and the one that ends the process by design (a write that
// blocks for good) are left out. Harsh ones take long to recover from and are
// for long runs only.
var soakFaults = []struct {
	order, mend string
	harsh       bool
}{
	{"closed", "", false},
	{"close", "", false},
	{"silent-closed", "", false},
	{"reboot", "", false},
	{"puback never", "", true},
	{"puback late 5s", "", false},
	{"drop PUBACK", "", true},
	{"drop OK prob=0.3 count=2", "", true},
	{"corrupt OK", "", true},
	{"split PUBACK 300ms count=5", "", false},
	{"strip PUBACK count=3", "", false},
	{"lose 7", "", true},
	{"lose-in 3", "", true},
	{"garbage 200", "", false},
	{"noise on every=1s", "noise off", false},
	{"unplug 2s", "", false},
	{"kick", "", false},
	{"expire-tokens", "", false},
	{"throttle 1", "throttle 0", true},
	{"outage on", "outage off", true},
	{"service lost", "service back", true},
	{"sim removed", "sim inserted", true},
	{"pdp-deact colon", "", false},
	{"pdp-deact cgev", "", false},
	{"sapbr-deact", "", false},
	{"detach", "", true},
	{"brown-out 3 every=2s", "", false},
	{"silence 4s", "", false},
	{"silence 25s", "", true},
	{"hang", "", true},
	{"power-off", "", true},
	{"half-open", "", true},
	{"baud 9600", "", true},
	{"connect fail count=2", "", false},
	{"connack refuse", "", false},
	{"suback never", "", true},
	{"bearer fail count=2", "", false},
	{"http-status 603", "", false},
	{"msub-lie 40", "", false},
	{"echo on", "", false},
	{"csq 99", "csq 20", false},
}

// soakMends leaves a module and a cloud that work.
var soakMends = []string{"clear", "service back", "sim inserted", "outage off", "throttle 0", "csq 20", "registration on"}

// ledger is both sides of the account: what programs were told, and what the
// cloud got.
type ledger struct {
	mu       sync.Mutex
	accepted map[string]time.Time
	acked    map[string]time.Time
	arrived  map[string]time.Time
	repeats  int
	wrong    []string
	slow     []time.Duration // from publish to acknowledgement, since the last sample
	all      []time.Duration
}

func newLedger() *ledger {
	return &ledger{accepted: map[string]time.Time{}, acked: map[string]time.Time{}, arrived: map[string]time.Time{}}
}

func (l *ledger) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wrong) < 20 {
		l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
	}
}

func (l *ledger) note(of map[string]time.Time, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of[name] = time.Now()
}

// took records how long a message took from publish to acknowledgement.
func (l *ledger) took(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slow, l.all = append(l.slow, d), append(l.all, d)
}

// latency returns median and maximum since the last call, and whether there were any.
func (l *ledger) latency() (median, most time.Duration, some bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.slow) == 0 {
		return 0, 0, false
	}
	slices.Sort(l.slow)
	median, most = l.slow[len(l.slow)/2], l.slow[len(l.slow)-1]
	l.slow = l.slow[:0]
	return median, most, true
}

// follow books what the cloud gets until the test ends.
func (l *ledger) follow(t *testing.T, sim *simulator) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://airsim/v1/messages", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := sim.control.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			var m struct {
				At      time.Time `json:"at"`
				Payload string    `json:"payload"`
			}
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
				l.fail("the cloud's list: %v in %s", err, lines.Text())
				continue
			}
			name, _, _ := strings.Cut(m.Payload, " ")
			l.arrive(name, m.At)
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
}

func (l *ledger) arrive(name string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, again := l.arrived[name]; again {
		l.repeats++
		return
	}
	l.arrived[name] = at
}

// finding is the ledger at the end.
type finding struct {
	accepted, acked, arrived, repeats int
	median, p99, most                 time.Duration
	wrong                             []string
}

func (f finding) String() string {
	return fmt.Sprintf("%d accepted, %d acknowledged, %d arrived again\nacknowledged after: median %v, 99 of 100 within %v, at most %v\n",
		f.accepted, f.acked, f.repeats, f.median.Round(time.Millisecond), f.p99.Round(time.Millisecond), f.most.Round(time.Millisecond))
}

// verdict holds the two sides against each other.
func (l *ledger) verdict() finding {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := finding{accepted: len(l.accepted), acked: len(l.acked), arrived: len(l.arrived), repeats: l.repeats, wrong: slices.Clone(l.wrong)}
	for name := range l.accepted {
		if _, found := l.arrived[name]; !found {
			f.wrong = append(f.wrong, name+" was accepted and never arrived")
		}
	}
	for name, told := range l.acked {
		if at, found := l.arrived[name]; !found || at.After(told) {
			f.wrong = append(f.wrong, fmt.Sprintf("%s was acknowledged at %v and arrived at %v", name, told, at))
		}
	}
	if n := len(l.all); n > 0 {
		slices.Sort(l.all)
		f.median, f.p99, f.most = l.all[n/2], l.all[n*99/100], l.all[n-1]
	}
	return f
}

// load is the programs beside the daemon.
type load struct {
	g       *gateway
	sim     *simulator
	book    *ledger
	publish context.CancelFunc // ends those that publish
	end     context.CancelFunc // and the rest
	senders sync.WaitGroup
	others  sync.WaitGroup
	open    atomic.Int64 // messages without a final state

	pushed, received, recoveries atomic.Int64
}

// fillHistory publishes 12,000 messages of QoS 0, which is far more than their
// ring holds or the module carries meanwhile: most are dropped and remembered.
func fillHistory(t *testing.T, g *gateway) {
	t.Helper()
	for i := range 12_000 {
		if _, err := g.client.Publish(t.Context(), update, fmt.Appendf(nil, "fill-%d", i), client.PublishOptions{QoS: client.AtMostOnce}); err != nil {
			t.Fatal(err)
		}
	}
}

// startLoad starts the programs: one that waits for each acknowledgement, two
// that send and look later, one with QoS 0, two that stay subscribed, one that
// comes and goes, one that watches events; and a cloud that sends down.
func startLoad(t *testing.T, g *gateway, sim *simulator, book *ledger, random *rand.Rand) *load {
	l := &load{g: g, sim: sim, book: book}
	publishing, publish := context.WithCancel(context.Background())
	all, end := context.WithCancel(context.Background())
	l.publish, l.end = publish, end
	t.Cleanup(func() { publish(); end(); l.senders.Wait(); l.others.Wait() })
	rng := func() *rand.Rand { return rand.New(rand.NewPCG(random.Uint64(), random.Uint64())) }
	waiter, sender1, sender2, chatter, pusher := rng(), rng(), rng(), rng(), rng()
	l.senders.Go(func() { l.ask(publishing, all, "asker", waiter) })
	l.senders.Go(func() { l.send(publishing, all, "sender1", sender1, client.PublishOptions{}) })
	l.senders.Go(func() {
		l.send(publishing, all, "sender2", sender2, client.PublishOptions{Priority: client.PriorityHigh})
	})
	l.senders.Go(func() { l.chat(publishing, chatter) })
	l.senders.Go(func() { l.push(publishing, pusher) })
	for range 2 {
		l.others.Go(func() { l.listen(all, time.Hour*1000, get) })
	}
	l.others.Go(func() { l.listen(all, 7*time.Second, "/"+productKey+"/"+imei+"/set") })
	l.others.Go(func() { l.watchEvents(all) })
	return l
}

// stop ends those that publish; outstanding says how many messages are still on
// their way, and wait ends the rest.
func (l *load) stop()            { l.publish() }
func (l *load) outstanding() int { return int(l.open.Load()) }
func (l *load) wait()            { l.end(); l.senders.Wait(); l.others.Wait() }

// pause waits for a random time, and says whether the program goes on.
func pause(ctx context.Context, random *rand.Rand, mean time.Duration) bool {
	select {
	case <-time.After(time.Duration(random.ExpFloat64() * float64(mean))):
		return true
	case <-ctx.Done():
		return false
	}
}

// text makes the payload of a message: its name, and now and then something that
// takes another wire form or looks like the module's own words.
func text(name string, random *rand.Rand) []byte {
	filler := []string{"", `"quoted"`, "\r\nOK\r\n", `back\slash`, strings.Repeat("x", 300), "PUBACK"}[random.IntN(6)]
	return []byte(name + " " + filler)
}

// ask publishes one message after the other and waits for each.
func (l *load) ask(ctx, all context.Context, name string, random *rand.Rand) {
	for n := 0; pause(ctx, random, 500*time.Millisecond); n++ {
		id := fmt.Sprintf("%s-%d", name, n)
		l.open.Add(1)
		begin := time.Now()
		l.book.note(l.book.accepted, id) // an error below is one of the verdict
		m, err := l.g.client.Publish(all, update, text(id, random), client.PublishOptions{Wait: time.Hour})
		switch {
		case err != nil:
			l.book.fail("%s: %v", id, err)
		case m.State != client.Acked:
			l.book.fail("%s ended as %s", id, m.State)
		default:
			l.book.took(time.Since(begin))
			l.book.note(l.book.acked, id)
		}
		l.open.Add(-1)
	}
}

// send publishes and asks later what became of it, the oldest first.
func (l *load) send(ctx, all context.Context, name string, random *rand.Rand, o client.PublishOptions) {
	type sent struct{ name, id string }
	var waiting []sent
	for n := 0; ; n++ {
		if pause(ctx, random, time.Second) {
			id := fmt.Sprintf("%s-%d", name, n)
			m, err := l.g.client.Publish(all, update, text(id, random), o)
			if err != nil {
				l.book.fail("%s: %v", id, err)
				continue
			}
			l.book.note(l.book.accepted, id)
			l.open.Add(1)
			waiting = append(waiting, sent{id, m.ID})
		} else if len(waiting) == 0 || !pause(all, random, 100*time.Millisecond) {
			return
		}
		for len(waiting) > 0 {
			m, err := l.g.client.Message(all, waiting[0].id)
			if err == nil && !m.State.Final() {
				break
			}
			if err != nil || m.State != client.Acked {
				l.book.fail("%s ended as %s (%s), %v", waiting[0].name, m.State, m.Reason, err)
			} else {
				l.book.note(l.book.acked, waiting[0].name)
			}
			waiting = waiting[1:]
			l.open.Add(-1)
		}
	}
}

// chat publishes with QoS 0.
func (l *load) chat(ctx context.Context, random *rand.Rand) {
	for n := 0; pause(ctx, random, 2*time.Second); n++ {
		if _, err := l.g.client.Publish(ctx, update, fmt.Appendf(nil, "chat-%d", n), client.PublishOptions{QoS: client.AtMostOnce}); err != nil && ctx.Err() == nil {
			l.book.fail("chat: %v", err)
		}
	}
}

// push sends messages down.
func (l *load) push(ctx context.Context, random *rand.Rand) {
	for n := 0; pause(ctx, random, time.Second); n++ {
		l.sim.push(get, text(fmt.Sprintf("down-%d", n), random))
		l.pushed.Add(1)
	}
}

// listen subscribes, reads for so long, leaves and comes back.
func (l *load) listen(ctx context.Context, stay time.Duration, filter string) {
	for ctx.Err() == nil {
		visit, leave := context.WithTimeout(ctx, stay)
		items, err := l.g.client.Subscribe(visit, filter)
		if err == nil {
			for {
				var it client.Item
				if it, err = items.Next(); err != nil {
					break
				}
				if it.Message != nil {
					l.received.Add(1)
				}
			}
			items.Close()
		}
		if visit.Err() == nil && !errors.Is(err, client.ErrStopped) {
			l.book.fail("subscription to %s: %v", filter, err)
			leave()
			return
		}
		leave()
	}
}

// watchEvents counts recoveries.
func (l *load) watchEvents(ctx context.Context) {
	events, err := l.g.client.Events(ctx)
	if err != nil {
		l.book.fail("events: %v", err)
		return
	}
	defer events.Close()
	for {
		e, err := events.Next()
		if err != nil {
			return
		}
		if e.Type == "state" && e.To == "recovering" {
			l.recoveries.Add(1)
		}
	}
}
