package datause

import (
	"testing"
	"time"
)

func at(text string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04", text, time.Local)
	if err != nil {
		panic(err)
	}
	return t
}

func TestStartOf(t *testing.T) {
	for _, c := range []struct {
		now   string
		day   int
		start string
	}{
		{"2026-11-22 13:00", 1, "2026-11-01 00:00"},
		{"2026-11-01 00:00", 1, "2026-11-01 00:00"},
		{"2026-10-31 23:59", 1, "2026-10-01 00:00"},
		{"2026-11-14 23:59", 15, "2026-10-15 00:00"},
		{"2026-11-15 00:00", 15, "2026-11-15 00:00"},
		{"2027-01-05 00:00", 28, "2026-12-28 00:00"},
		{"2028-03-01 00:00", 28, "2028-02-28 00:00"},
	} {
		if got := startOf(at(c.now), c.day); !got.Equal(at(c.start)) {
			t.Errorf("%s, day %d: %v, want %s", c.now, c.day, got, c.start)
		}
	}
}

// walk lets the clock say one month after the other, with 100 bytes counted in
// each, and returns what the last one holds.
func walk(days ...string) uint64 {
	m := months{Current: newPeriod(time.Time{}), Other: newPeriod(time.Time{})}
	for _, day := range days {
		m.turn(startOf(at(day+" 12:00"), 1))
		m.Current.Causes["payload"] += 100
	}
	return m.Current.bytes()
}

// Steps of the clock: what a month has counted stays counted, and no month gets
// what belongs to another one.
func TestStepsOfTheClock(t *testing.T) {
	for _, c := range []struct {
		name string
		days []string
		want uint64
	}{
		{"one month", []string{"2026-11-01", "2026-11-15", "2026-11-30"}, 300},
		{"the next month begins at nothing", []string{"2026-11-30", "2026-12-01"}, 100},
		{"set back by a second at midnight, and over it again", []string{"2026-11-30", "2026-12-01", "2026-11-30", "2026-12-01"}, 200},
		{"the same, seen from the old month", []string{"2026-11-30", "2026-12-01", "2026-11-30"}, 200},
		{"a jump of years and back", []string{"2026-11-10", "2038-01-19", "2026-11-10"}, 300},
		{"a clock that was ahead at the first start", []string{"2038-01-19", "2026-11-10"}, 200},
		{"a clock that was behind for a while", []string{"2026-11-10", "2026-03-01", "2026-11-10"}, 300},
		{"behind from the start", []string{"2026-03-01", "2026-11-10"}, 100},
	} {
		if got := walk(c.days...); got != c.want {
			t.Errorf("%s: %d bytes, want %d", c.name, got, c.want)
		}
	}
}
