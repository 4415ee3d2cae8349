package provision

import (
	"slices"
	"time"

	"airbridged/internal/secret"
)

// What can be lost without harm: the token is fetched anew, the connect times
// are forgotten.
const (
	tokenFile    = "token.json"
	connectsFile = "connects.json"
)

// Token returns the cached token of a device, however old: ask it whether it
// is usable. A token of another device or a damaged file is as good as none. From
// the first look on its age is kept by the monotonic clock: setting the wall clock
// makes it neither older nor younger.
func (s *Store) Token(id Identity) (Token, bool) {
	r, ok := s.cached(tokenFile, kindToken)
	if !ok || r.identity() != id || r.IotID == "" || r.Secret == "" {
		return Token{}, false
	}
	t := Token{IotID: r.IotID, Secret: secret.New(r.Secret), ObtainedAt: time.UnixMilli(r.SavedAt)}
	if s.token.IotID != t.IotID || s.token.Secret != t.Secret {
		s.token = t.aged(time.Now())
	}
	return s.token, true
}

// SaveToken caches the token of a device. Its age is kept by the wall clock.
func (s *Store) SaveToken(id Identity, t Token) error {
	s.token = t
	return s.put(tokenFile, seal(record{
		Kind: kindToken, ProductKey: id.ProductKey, DeviceName: id.DeviceName,
		IotID: t.IotID, Secret: t.Secret.Reveal(), SavedAt: t.ObtainedAt.UnixMilli(),
	}))
}

// DropToken forgets the cached token. There need not be one.
func (s *Store) DropToken() error { return s.remove(tokenFile) }

// maxConnects bounds the connect times kept; the oldest are dropped. The limit
// they serve is a few a minute.
const maxConnects = 64

// Connects returns the times of recent MQTT logins, oldest first, none later
// than now. One that the clock says is to come counts as made now: the clock
// was set back since, and the cloud still counts it. After a clock that was
// set forward they look older than they are; the cloud's limit can then be
// missed once.
func (s *Store) Connects() []time.Time {
	r, ok := s.cached(connectsFile, kindConnects)
	if !ok {
		return nil
	}
	now := time.Now()
	times := make([]time.Time, len(r.Connects))
	for i, ms := range r.Connects {
		// By its age, so that setting the clock from now on changes nothing.
		times[i] = now.Add(-max(now.Sub(time.UnixMilli(ms)), 0))
	}
	return recent(times)
}

// SaveConnects keeps the times of recent MQTT logins over a restart.
func (s *Store) SaveConnects(times []time.Time) error {
	r := record{Kind: kindConnects, SavedAt: time.Now().UnixMilli()}
	for _, t := range recent(times) {
		r.Connects = append(r.Connects, t.UnixMilli())
	}
	return s.put(connectsFile, seal(r))
}

// recent returns the latest of some times, oldest first.
func recent(times []time.Time) []time.Time {
	sorted := slices.SortedFunc(slices.Values(times), time.Time.Compare)
	return sorted[max(0, len(sorted)-maxConnects):]
}

func (s *Store) cached(name, kind string) (record, bool) {
	raw, err := s.dir.Read(name)
	if err != nil {
		return record{}, false
	}
	var r record
	if unseal(raw, &r) != nil || r.Kind != kind {
		return record{}, false
	}
	return r, true
}
