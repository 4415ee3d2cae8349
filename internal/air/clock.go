package air

import (
	"bytes"
	"context"
	"time"
)

// The years that a network can tell now. A module that was told no time yet says
// 1970, 1980 (as 80), 2000 or 2004, some firmware got the year wrong (EC618 before
// V1112), and two digits reach no further than this century.
const (
	firstYear = 2026
	lastYear  = 2069
)

// NetworkTime asks for the module's clock, which the network sets; the zero time
// when it has not been set, or cannot be. It tells whole seconds, local time and
// its distance to UTC in quarters of an hour (AT manual, CCLK; 3GPP TS 27.007
// section 8.15).
func (m *Modem) NetworkTime(ctx context.Context) (time.Time, error) {
	line, err := m.ask(ctx, "AT+CCLK?", m.quick(), named("+CCLK"))
	if err != nil {
		return time.Time{}, err
	}
	return parseClock(line)
}

// parseClock reads +CCLK: "26/11/23,09:02:03+32" into UTC. Without the distance to
// UTC, and in a year that cannot be, the time is not known.
func parseClock(line []byte) (time.Time, error) {
	rest, ok := answer(line, "+CCLK")
	text := unquote(rest)
	at := bytes.LastIndexAny(text, "+-")
	if !ok || len(text) == 0 {
		return time.Time{}, malformed("AT+CCLK")
	}
	quarters, local := 0, text
	if at > 0 {
		n, err := between(text[at+1:], 0, 96)
		if err != nil {
			return time.Time{}, malformed("AT+CCLK: the time zone")
		}
		if quarters, local = n, text[:at]; text[at] == '-' {
			quarters = -n
		}
	}
	t, err := time.Parse("06/01/02,15:04:05", string(local))
	if err != nil {
		if t, err = time.Parse("2006/01/02,15:04:05", string(local)); err != nil {
			return time.Time{}, malformed("AT+CCLK: the time")
		}
	}
	t = t.Add(-time.Duration(quarters) * 15 * time.Minute)
	if at <= 0 || t.Year() < firstYear || t.Year() > lastYear {
		return time.Time{}, nil
	}
	return t, nil
}
