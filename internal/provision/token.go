package provision

import (
	"time"

	"airbridged/internal/secret"
)

// Token is the login that HTTPS authentication hands out. IotID is no secret.
type Token struct {
	IotID      string
	Secret     secret.Text // iotToken
	ObtainedAt time.Time
}

// freshFor is how long a token is used. The cloud honours it for 7 days
// (Aliyun document 73742, its older edition); a day less leaves room for a
// clock that is off.
const freshFor = 6 * 24 * time.Hour

// clockSet is the earliest time at which a wall clock is believed. A gateway
// without a battery-backed clock starts in 1970.
var clockSet = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// Usable says whether the token can be expected to work at now.
//
// Within one run of the program the age comes from the monotonic clock and is
// right whatever the wall clock does. For a token read from disk only the wall
// clocks of then and now can be compared. If either cannot be right (before
// the year 2000), or the token would come from the future, its age is unknown
// and it is not used: asking for a new one costs one HTTPS request, trying an
// expired one costs a refused login, of which the cloud allows few.
func (t Token) Usable(now time.Time) bool {
	if t.IotID == "" || t.Secret.Empty() {
		return false
	}
	age := now.Sub(t.ObtainedAt)
	believed := monotonic(t.ObtainedAt) && monotonic(now) ||
		!t.ObtainedAt.Before(clockSet) && !now.Before(clockSet)
	return believed && age >= 0 && age < freshFor
}

// aged is a token from disk whose age, if the wall clocks of then and now can be
// believed, is by the monotonic clock from now on.
func (t Token) aged(now time.Time) Token {
	if t.Usable(now) {
		t.ObtainedAt = now.Add(-now.Sub(t.ObtainedAt))
	}
	return t
}

// monotonic says whether a time carries a reading of the monotonic clock.
func monotonic(t time.Time) bool { return t != t.Round(0) }
