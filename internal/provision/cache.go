package provision

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"airbridged/internal/durable"
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
//
// The file is read until that has worked once, and then no more: what this process
// has saved or dropped counts, on a disk that does not take it too. A refused token
// must not come back from a read-only disk.
func (s *Store) Token(id Identity) (Token, bool) {
	if !s.tokenRead {
		s.readToken()
	}
	if s.tokenOf != id || s.token.IotID == "" {
		return Token{}, false
	}
	return s.token, true
}

func (s *Store) readToken() {
	r, err := s.cached(tokenFile, kindToken)
	s.tokenRead = err == nil || !transient(err)
	if err != nil || r.IotID == "" || r.Secret == "" {
		return
	}
	t := Token{IotID: r.IotID, Secret: secret.New(r.Secret), ObtainedAt: time.UnixMilli(r.SavedAt)}
	s.tokenOf, s.token = r.identity(), t.aged(time.Now())
}

// SaveToken caches the token of a device. Its age is kept by the wall clock. After
// an error it is known to this process all the same.
func (s *Store) SaveToken(id Identity, t Token) error {
	s.tokenOf, s.token, s.tokenRead = id, t, true
	return s.put(tokenFile, seal(record{
		Kind: kindToken, ProductKey: id.ProductKey, DeviceName: id.DeviceName,
		IotID: t.IotID, Secret: t.Secret.Reveal(), SavedAt: t.ObtainedAt.UnixMilli(),
	}))
}

// DropToken forgets the cached token. There need not be one.
func (s *Store) DropToken() error {
	s.tokenOf, s.token, s.tokenRead = Identity{}, Token{}, true
	return s.remove(tokenFile)
}

// maxConnects bounds the connect times kept; the oldest are dropped. The limit
// they serve is a few a minute.
const maxConnects = 64

// Connects returns the times of recent MQTT logins, oldest first, none later
// than now. One that the clock says is to come counts as made now: the clock
// was set back since, and the cloud still counts it. After a clock that was
// set forward they look older than they are; the cloud's limit can then be
// missed once. An error means that they could not be read now, and may be later; a
// damaged file is as good as none.
func (s *Store) Connects() ([]time.Time, error) {
	r, err := s.cached(connectsFile, kindConnects)
	switch {
	case err != nil && transient(err):
		return nil, &StoreError{opRead, s.file(connectsFile), err}
	case err != nil:
		return nil, nil
	}
	now := time.Now()
	times := make([]time.Time, len(r.Connects))
	for i, ms := range r.Connects {
		// By its age, so that setting the clock from now on changes nothing.
		times[i] = now.Add(-max(now.Sub(time.UnixMilli(ms)), 0))
	}
	return recent(times), nil
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

func (s *Store) cached(name, kind string) (record, error) {
	raw, err := s.dir.Read(name)
	if err != nil {
		return record{}, err
	}
	var r record
	if unseal(raw, &r) != nil || r.Kind != kind {
		return record{}, errDamaged
	}
	return r, nil
}

// transient says whether an error of reading says nothing about the file.
func transient(err error) bool {
	return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errDamaged) && !durable.Verdict(err)
}
