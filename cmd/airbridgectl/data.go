package main

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"time"

	"airbridged/client"
)

var dataCommand = command{
	name:    "data",
	summary: "what the connection has used this month",
	help: `Shows the month's data volume on the air, estimated from the protocols' formats:
in all, by cause, and by local program (messages up only); then the budget of
data.monthly_budget and what the month will come to at the present rate. The
numbers outlive a restart of the daemon.

causes: payload (messages up, acknowledgements included), retry (those that were
sent again), downlink, keepalive (pings), handshake (connecting, login and
subscriptions), http (registration and authentication), dns

examples:
  airbridgectl data
  airbridgectl data --json | jq .forecast_bytes
`,
	setup: func(*flag.FlagSet) func(*env, []string) error { return showData },
}

func showData(e *env, args []string) error {
	if len(args) > 0 {
		return usageError{"data takes no arguments"}
	}
	_, s, err := askStatus(e.ctx, e.client)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(s.Data)
	}
	for _, line := range dataPage(s.Data) {
		fmt.Fprintln(e.stdout, line)
	}
	return nil
}

// dataPage is the account as a table.
func dataPage(d client.Data) []string {
	page := []string{dataWords(d)}
	line := func(name string, n uint64) {
		page = append(page, fmt.Sprintf("  %10d  %3d %%  %s", n, percent(n, d.Bytes), name))
	}
	byBytes := func(a, b string) int { return int(d.ByCause[b]) - int(d.ByCause[a]) }
	page = append(page, "", "by cause, in bytes")
	for _, cause := range slices.SortedStableFunc(slices.Values(slices.Sorted(maps.Keys(d.ByCause))), byBytes) {
		line(printable(cause), d.ByCause[cause])
	}
	if len(d.ByProgram) > 0 {
		page = append(page, "", "by program, messages up only")
		for _, p := range d.ByProgram {
			line(printable(p.Program), p.Bytes)
		}
	}
	return page
}

// dataWords is the account in one line.
func dataWords(d client.Data) string {
	words := size(int64(d.Bytes))
	if d.Since != nil {
		words += " since " + d.Since.Local().Format(time.DateOnly)
	}
	if d.BudgetBytes != nil {
		words += fmt.Sprintf(", %d %% of a budget of %s", percent(d.Bytes, uint64(*d.BudgetBytes)), size(*d.BudgetBytes))
	}
	if d.ForecastBytes != nil && d.Until != nil {
		words += fmt.Sprintf("; about %s by %s", size(int64(*d.ForecastBytes)), d.Until.Local().Format(time.DateOnly))
	}
	if d.Holding {
		words += "; used up: less important messages wait for the next month"
	}
	return words
}

func percent(n, of uint64) uint64 {
	if of == 0 {
		return 0
	}
	return n * 100 / of
}
