package air

import (
	"errors"
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	at := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	unknown := time.Time{}
	for line, want := range map[string]time.Time{
		`+CCLK: "26/11/23,09:02:03+32"`:   at,
		`+CCLK:"26/11/22,20:02:03-20"`:    at,
		`+CCLK: "26/11/23,01:02:03+00"`:   at,
		`+CCLK: "26/11/23,01:02:03+0"`:    at,
		`+CCLK: 2026/11/23,06:32:03+22`:   at,
		`+CCLK: "26/11/23,01:02:03"`:      unknown, // local, and nobody says where
		`+CCLK: "70/01/01,00:00:07+00"`:   unknown,
		`+CCLK: "80/01/06,00:00:00+00"`:   unknown,
		`+CCLK: "00/01/01,00:00:00+32"`:   unknown,
		`+CCLK: "04/01/01,00:00:00+00"`:   unknown,
		`+CCLK: "2080/01/06,00:00:00+00"`: unknown,
		`+CCLK: "1970/01/01,00:00:00+00"`: unknown,
		`+CCLK: "26/01/01,01:00:00+32"`:   unknown, // still 2025 there
	} {
		if got, err := parseClock([]byte(line)); err != nil || !got.Equal(want) {
			t.Errorf("%s is %v, %v, want %v", line, got, err, want)
		}
	}
	for _, line := range []string{
		`+CCLK: `, `+CCLK: ""`, `+CCLK`, `+CSQ: 1,2`, `+CCLK: "26/13/23,09:02:03+32"`, `+CCLK: "26/02/30,09:02:03+32"`,
		`+CCLK: "26/11/23,25:02:03+32"`, `+CCLK: "26/11/23,09:02:03+97"`, `+CCLK: "26/11/23,09:02:03+"`, `+CCLK: "26/11/23,09:02:03+3x"`,
		`+CCLK: "26/11/23"`, `+CCLK: "26/11/23,09:02"`, `+CCLK: +32`,
	} {
		if got, err := parseClock([]byte(line)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s is %v, %v", line, got, err)
		}
	}
}

func FuzzClock(f *testing.F) {
	f.Add(`+CCLK: "26/11/23,09:02:03+32"`)
	f.Add(`+CCLK: "26/11/23,09:02:03-`)
	f.Fuzz(func(t *testing.T, line string) {
		got, err := parseClock([]byte(line))
		if !got.IsZero() && (err != nil || got.Year() < firstYear || got.Year() > lastYear) {
			t.Errorf("%q is %v, %v", line, got, err)
		}
	})
}
