package fair

import (
	"slices"
	"sync"
)

// Pool shares a bounded amount (connections, bytes) among users.
//
// While there is room everybody gets what he asks for. When there is none, a
// newcomer ends the newest holding of the user who holds most, and goes on so
// until he fits; he is refused where that user would then hold no more than he
// himself. So two users that both want all end with half each, and neither can
// take from the other for ever.
//
// A Pool may have a reserve beside it, for privileged users alone, whose
// holdings in there nobody ends.
type Pool[K comparable] struct {
	most, reserve int64

	mu       sync.Mutex
	total    int64 // held, the reserve not counted
	reserved int64
	users    map[K]*share[K]
}

// share is what one user holds, oldest first.
type share[K comparable] struct {
	sum      int64
	holdings []*Holding[K]
}

// Holding is what one outsider has of a Pool. Give it back with Release.
type Holding[K comparable] struct {
	pool       *Pool[K]
	user       K
	amount     int64
	privileged bool
	in         side
	gone       bool // released, or ended for somebody else
	end        func()
}

// side says where in the pool a holding is counted.
type side byte

const (
	nowhere side = iota
	shared
	reserve
)

// NewPool returns a pool of most, of which reserve is for privileged users.
func NewPool[K comparable](most, reserve int64) *Pool[K] {
	reserve = min(reserve, most)
	return &Pool[K]{most: most - reserve, reserve: reserve, users: make(map[K]*share[K])}
}

// Take asks for an amount (0 or more) in a user's name. It returns nil when there
// is none to be had. end is called at most once, by whoever needs the room, and
// the holding then is no longer counted; it must not block.
func (p *Pool[K]) Take(user K, privileged bool, amount int64, end func()) *Holding[K] {
	h := &Holding[K]{pool: p, user: user, privileged: privileged, end: end}
	p.mu.Lock()
	ok, ended := p.take(h, amount)
	p.mu.Unlock()
	endAll(ended)
	if !ok {
		return nil
	}
	return h
}

// Grow asks for more. It says false when there is no more to be had, or the
// holding was ended; what it held before it still holds.
func (h *Holding[K]) Grow(amount int64) bool {
	h.pool.mu.Lock()
	ok, ended := false, []*Holding[K](nil)
	if !h.gone {
		ok, ended = h.pool.take(h, amount)
	}
	h.pool.mu.Unlock()
	endAll(ended)
	return ok
}

// Release gives everything back. It may be called again, and after an end.
func (h *Holding[K]) Release() {
	h.pool.mu.Lock()
	defer h.pool.mu.Unlock()
	h.pool.drop(h)
}

// Held returns how much is held by all, and by how many users.
func (p *Pool[K]) Held() (amount int64, users int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total + p.reserved, len(p.users)
}

// take adds an amount to a holding, and returns which others have to end for it.
func (p *Pool[K]) take(h *Holding[K], amount int64) (ok bool, ended []*Holding[K]) {
	if h.privileged && h.in != shared && p.reserved+amount <= p.reserve {
		h.in = reserve
		p.reserved += amount
		h.amount += amount
		return true, nil
	}
	if h.in == reserve {
		return false, nil
	}
	own := p.users[h.user]
	if own == nil {
		own = &share[K]{}
	}
	if !p.fits(own, amount) {
		return false, nil
	}
	for p.total+amount > p.most {
		fullest := p.fullest(own)
		newest := fullest.holdings[len(fullest.holdings)-1]
		p.drop(newest)
		ended = append(ended, newest)
	}
	if h.in == nowhere {
		h.in = shared
		own.holdings = append(own.holdings, h)
		p.users[h.user] = own
	}
	own.sum += amount
	p.total += amount
	h.amount += amount
	return true, ended
}

// fits says whether there is room, or would be after all others gave back what
// they hold beyond what own would then hold.
func (p *Pool[K]) fits(own *share[K], amount int64) bool {
	free := p.most - p.total
	for _, u := range p.users {
		if u != own {
			free += max(0, u.sum-own.sum-amount)
		}
	}
	return free >= amount
}

// fullest is the user who holds most, apart from own.
func (p *Pool[K]) fullest(own *share[K]) *share[K] {
	var most *share[K]
	for _, u := range p.users {
		if u != own && (most == nil || u.sum > most.sum) {
			most = u
		}
	}
	return most
}

// drop forgets a holding, once.
func (p *Pool[K]) drop(h *Holding[K]) {
	if h.gone {
		return
	}
	h.gone = true
	switch h.in {
	case reserve:
		p.reserved -= h.amount
	case shared:
		own := p.users[h.user]
		own.holdings = slices.DeleteFunc(own.holdings, func(other *Holding[K]) bool { return other == h })
		own.sum -= h.amount
		p.total -= h.amount
		if len(own.holdings) == 0 {
			delete(p.users, h.user)
		}
	}
}

// endAll tells the owners of holdings that were taken from them; not under the lock.
func endAll[K comparable](ended []*Holding[K]) {
	for _, h := range ended {
		h.end()
	}
}
