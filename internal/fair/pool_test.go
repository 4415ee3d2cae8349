package fair

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// crowd is a pool and who of it was ended, by name.
type crowd struct {
	pool  *Pool[string]
	here  map[string]*Holding[string]
	ended []string
}

func newCrowd(most, reserve int64) *crowd {
	return &crowd{pool: NewPool[string](most, reserve), here: map[string]*Holding[string]{}}
}

// come lets a user's holding in; its name is the user's with a number.
func (c *crowd) come(user string, n int, amount int64) bool {
	name := fmt.Sprint(user, n)
	h := c.pool.Take(user, user == "root", amount, func() { c.ended = append(c.ended, name) })
	c.here[name] = h
	return h != nil
}

// One user with 256 waits kept root's status out (EAGAIN). He may have every
// place, and loses the newest of them as others come, down to as many as they
// have; places of the reserve are nobody's but root's.
func TestPoolMakesRoomForOthers(t *testing.T) {
	c := newCrowd(12, 2)
	for i := range 10 {
		if !c.come("a", i, 1) {
			t.Fatalf("a%d is refused though there is room", i)
		}
	}
	if c.come("a", 10, 1) {
		t.Error("a got a place of root's reserve")
	}
	for i := range 2 {
		if !c.come("root", i, 1) || c.ended != nil {
			t.Fatalf("root has no place of his own; ended %v", c.ended)
		}
	}
	for i := range 5 {
		if !c.come("b", i, 1) {
			t.Errorf("b%d is refused though a has more than b", i)
		}
	}
	if want := []string{"a9", "a8", "a7", "a6", "a5"}; !slices.Equal(c.ended, want) {
		t.Errorf("ended %v, want %v: the fullest user's newest", c.ended, want)
	}
	if c.come("b", 5, 1) || c.come("a", 11, 1) {
		t.Error("two users with half each still take from each other")
	}
	if !c.come("c", 0, 1) || !c.come("root", 2, 1) {
		t.Error("a newcomer without any place is refused")
	}
	if held, users := c.pool.Held(); held != 12 || users != 4 {
		t.Errorf("%d held by %d users", held, users)
	}
}

// A holding that grows, as a body that arrives does, is held to the same rule.
func TestPoolGrows(t *testing.T) {
	c := newCrowd(100, 0)
	c.come("a", 0, 60)
	c.come("a", 1, 40)
	if c.here["a0"].Grow(1) {
		t.Error("a grew beyond the pool")
	}
	if !c.come("b", 0, 0) || !c.here["b0"].Grow(30) || !slices.Equal(c.ended, []string{"a1"}) {
		t.Errorf("b has no room beside a, who had all; ended %v", c.ended)
	}
	if c.here["a1"].Grow(1) {
		t.Error("what was ended grows")
	}
	c.here["a1"].Release()
	c.here["b0"].Release()
	c.here["b0"].Release()
	if held, users := c.pool.Held(); held != 60 || users != 1 {
		t.Errorf("%d held by %d users, want 60 by a", held, users)
	}
}

// Whatever comes and goes: never more than the bound, nobody is refused while
// there is room, and nobody is ended whose user holds no more than the newcomer's.
func TestPoolAtRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const most = 40
	p := NewPool[int](most, 0)
	sums := map[int]int64{}
	type held struct {
		h      *Holding[int]
		user   int
		amount int64
		gone   bool
	}
	var all []*held
	for range 20000 {
		if len(all) > 0 && random.IntN(3) == 0 {
			i := random.IntN(len(all))
			if !all[i].gone {
				sums[all[i].user] -= all[i].amount
			}
			all[i].h.Release()
			all = slices.Delete(all, i, i+1)
			continue
		}
		n := &held{user: random.IntN(4), amount: random.Int64N(5)}
		before, room := sums[n.user], int64(most)
		for _, s := range sums {
			room -= s
		}
		n.h = p.Take(n.user, false, n.amount, func() {
			n.gone = true
			sums[n.user] -= n.amount
		})
		if n.h == nil && room >= n.amount {
			t.Fatalf("%d refused with %d free", n.amount, room)
		}
		for u, s := range sums {
			if u != n.user && n.h != nil && room < n.amount && s > most {
				t.Fatalf("user %d holds %d of %d", u, s, most)
			}
		}
		if n.h != nil {
			sums[n.user] = before + n.amount
			all = append(all, n)
		}
		var total int64
		for _, s := range sums {
			total += s
		}
		if got, _ := p.Held(); got != total || total > most {
			t.Fatalf("%d held, counted %d, most %d", got, total, most)
		}
	}
}
