package access

import (
	"fmt"
	"sync"
	"time"
)

// burst is for how long a user's messages may come at once.
const burst = 2 * time.Second

// manyRates is beyond how many users those are forgotten who have not published
// lately: they begin with a whole burst anyway.
const manyRates = 256

// rates is how fast each user publishes.
type rates struct {
	mu sync.Mutex
	of map[string]*bucket
}

// bucket holds what a user may publish at once.
type bucket struct {
	rate   float64
	tokens float64
	at     time.Time
}

func (r *rates) init() { r.of = make(map[string]*bucket) }

// fill brings a bucket up to date. It holds at least one message: a rate below one in
// two seconds could else never send.
func (b *bucket) fill(rate float64, now time.Time) {
	most := max(1, rate*burst.Seconds())
	if b.rate != rate {
		b.rate, b.tokens = rate, min(b.tokens, most)
	}
	b.tokens = min(most, b.tokens+now.Sub(b.at).Seconds()*rate)
	b.at = now
}

// Spend counts one message of a user. Over his rate it is *Denied with the time after
// which it is allowed, and counts not.
func (c *Control) Spend(r Rights) error {
	if !r.bound || r.rule == nil || r.rule.Rate == 0 {
		return r.Any()
	}
	wait := c.rates.spend(r.who.Owner(), r.rule.Rate, time.Now())
	if wait == 0 {
		return nil
	}
	return &Denied{
		Detail: fmt.Sprintf("%s lets it publish %s", r.rule.title(), ShowRate(r.rule.Rate)),
		Hint:   "publish less often, or several readings in one message; " + Explains,
		After:  wait,
	}
}

func (r *rates) spend(user string, rate float64, now time.Time) (wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.of[user]
	if b == nil {
		if len(r.of) >= manyRates {
			r.forget(now)
		}
		b = &bucket{rate: rate, tokens: max(1, rate*burst.Seconds()), at: now}
		r.of[user] = b
	}
	b.fill(rate, now)
	if b.tokens >= 1 {
		b.tokens--
		return 0
	}
	return max(time.Millisecond, time.Duration((1-b.tokens)/rate*float64(time.Second)))
}

// forget drops the buckets that are full again.
func (r *rates) forget(now time.Time) {
	for user, b := range r.of {
		if b.fill(b.rate, now); b.tokens >= max(1, b.rate*burst.Seconds()) {
			delete(r.of, user)
		}
	}
}

// ShowRate is a rate for people: "10 messages a second", "6 messages a minute".
func ShowRate(rate float64) string {
	for _, u := range []struct {
		per  float64
		name string
	}{{1, "a second"}, {60, "a minute"}, {3600, "an hour"}} {
		if n := rate * u.per; n >= 1 {
			return messages(n, u.name)
		}
	}
	return messages(rate*86400, "a day")
}

func messages(n float64, unit string) string {
	if n == 1 {
		return "1 message " + unit
	}
	return fmt.Sprintf("%.4g messages %s", n, unit)
}
