package main

import (
	"cmp"
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
	page := []string{dataWords(d), "", "by cause, in bytes"}
	byBytes := func(a, b string) int { return cmp.Compare(d.ByCause[b], d.ByCause[a]) }
	causes := slices.SortedStableFunc(slices.Values(slices.Sorted(maps.Keys(d.ByCause))), byBytes)
	bytes := make([]uint64, len(causes))
	for i, cause := range causes {
		bytes[i] = d.ByCause[cause]
	}
	for i, share := range shares(bytes) {
		page = append(page, fmt.Sprintf("  %10d  %3d %%  %s", bytes[i], share, printable(causes[i])))
	}
	if len(d.ByProgram) > 0 {
		page = append(page, "", "by program, messages up only")
		for _, p := range d.ByProgram {
			page = append(page, fmt.Sprintf("  %10d  %3d %%  %s", p.Bytes, percent(p.Bytes, d.Bytes), printable(p.Program)))
		}
	}
	return page
}

// shares are the parts of a whole in percent, which add up to 100: what rounding down
// leaves goes to those that lost most by it.
func shares(parts []uint64) []uint64 {
	var whole, given uint64
	for _, n := range parts {
		whole += n
	}
	list, order := make([]uint64, len(parts)), make([]int, len(parts))
	if whole == 0 {
		return list
	}
	for i, n := range parts {
		list[i], order[i] = n*100/whole, i
		given += list[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(parts[b]*100%whole, parts[a]*100%whole) })
	for _, i := range order[:min(len(order), int(100-given))] {
		list[i]++
	}
	return list
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
