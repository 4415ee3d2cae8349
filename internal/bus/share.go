package bus

import "sync/atomic"

// allQueues bounds the payloads that wait in all subscribers' queues together. Beyond
// it, a subscriber misses a message whose user already has as much as each of the users
// would have of it.
const allQueues = 16 << 20

// shares is what the queues hold, in all and by user.
type shares struct {
	all   atomic.Int64
	users map[string]*share // guarded by the hub's lock
}

// share is what the queues of one user hold.
type share struct {
	bytes atomic.Int64
	subs  int
}

// enter gives a subscription its user's share.
func (s *shares) enter(user string) *share {
	u := s.users[user]
	if u == nil {
		u = &share{}
		s.users[user] = u
	}
	u.subs++
	return u
}

// leave forgets a user without subscriptions.
func (s *shares) leave(user string) {
	if u := s.users[user]; u != nil {
		if u.subs--; u.subs == 0 {
			delete(s.users, user)
		}
	}
}

// full says whether a user has to miss a message of this size.
func (s *shares) full(u *share, size int) bool {
	n := int64(size)
	return s.all.Load()+n > allQueues && u.bytes.Load()+n > allQueues/int64(max(1, len(s.users)))
}

// add books bytes that come into a queue, or leave it.
func (s *shares) add(u *share, n int) {
	s.all.Add(int64(n))
	u.bytes.Add(int64(n))
}
