package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"airbridged/client"
)

func TestDataPage(t *testing.T) {
	since := time.Date(2026, 11, 1, 0, 0, 0, 0, time.Local)
	until, budget, forecast := since.AddDate(0, 1, 0), int64(30<<20), uint64(12<<20)
	got := strings.Join(dataPage(client.Data{
		Since: &since, Until: &until, Bytes: 9 << 20, ByCause: map[string]uint64{"payload": 6 << 20, "handshake": 1 << 20, "keepalive": 2 << 20},
		ByProgram:   []client.ProgramData{{Program: "root/sensord", Bytes: 5 << 20}, {Program: "ev\x1bil", Bytes: 1}},
		BudgetBytes: &budget, ForecastBytes: &forecast, Holding: true,
	}), "\n")
	want := `9216 KiB since 2026-11-01, 30 % of a budget of 30 MiB; about 12 MiB by 2026-12-01; used up: less important messages wait for the next month

by cause, in bytes
     6291456   67 %  payload
     2097152   22 %  keepalive
     1048576   11 %  handshake

by program, messages up only
     5242880   55 %  root/sensord
           1    0 %  "ev\x1bil"`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// Seen: 59, 35, 3 and 0 %, which is 97 of a hundred.
	if got := shares([]uint64{18610, 11189, 1240, 258}); !slices.Equal(got, []uint64{59, 36, 4, 1}) {
		t.Errorf("%d", got)
	}
	if got := shares([]uint64{1, 1, 1}); !slices.Equal(got, []uint64{34, 33, 33}) {
		t.Errorf("%d", got)
	}
	// A daemon that has just begun, without a clock, knows next to nothing.
	if got := strings.Join(dataPage(client.Data{}), "|"); got != "0 bytes||by cause, in bytes" {
		t.Errorf("%q", got)
	}
}
