package session_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"airbridged/internal/recovery"
	"airbridged/internal/session"
)

var updateDoc = flag.Bool("update", false, "write docs/recovery.md and the causes of docs/operations.md instead of comparing with them")

// recoveryPage is written by this test, so that what it says was measured.
const recoveryPage = "../../docs/recovery.md"

// checkPage compares the page with what was measured, or writes it.
func checkPage(t *testing.T, chapters []chapter) {
	t.Helper()
	page := recoveryText(t, chapters)
	written, err := os.ReadFile(recoveryPage)
	if err != nil {
		t.Fatal(err)
	}
	if *updateDoc {
		if err := os.WriteFile(recoveryPage, []byte(asWritten(string(written), page)), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if line, is, want := firstDifference(string(written), page); line > 0 {
		t.Errorf("%s:%d is not what was measured:\n%s\nwant:\n%s\n%s", recoveryPage, line, is, want, writeAnew)
	}
}

const (
	writeAnew = "write it anew: go test ./internal/session -run 'TestWedges$|TestHandbook' -update"
	handbook  = "../../docs/operations.md"
)

// The handbook's table of causes is made of their rows.
func TestHandbookExplainsEveryCause(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(handbook)
	if err != nil {
		t.Fatal(err)
	}
	const head = "| cause | meaning | first look | cure |\n| --- | --- | --- | --- |\n"
	before, table, found := strings.Cut(string(data), head)
	is, after, ended := strings.Cut(table, "\n\n")
	if !found || !ended {
		t.Fatalf("%s has no table of causes", handbook)
	}
	var want []string
	for _, c := range recovery.Causes() {
		d := c.Doc()
		want = append(want, fmt.Sprintf("| `%s` | %s | %s | %s |", c, d.Meaning, d.FirstLook, d.Cure))
	}
	rows := strings.Join(want, "\n")
	switch {
	case is == rows:
	case *updateDoc:
		if err := os.WriteFile(handbook, []byte(before+head+rows+"\n\n"+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		line, is, want := firstDifference(is, rows)
		t.Errorf("%s, line %d of the causes:\n%s\nwant:\n%s\n%s", handbook, line, is, want, writeAnew)
	}
}

// asWritten is the new page, with the lines of the old one where they are still true:
// what differs is then what has changed.
func asWritten(before, page string) string {
	old, lines := strings.Split(before, "\n"), strings.Split(page, "\n")
	for i, line := range lines {
		if at := slices.IndexFunc(old, func(o string) bool { return alike(o, line) }); at >= 0 {
			lines[i] = old[at]
		}
	}
	return strings.Join(lines, "\n")
}

// firstDifference compares two pages line by line. What is drawn at random and what
// happens in the same instant of virtual time is not the same in every run, so a
// time may differ by as much as such a run does from the next; each run by itself
// was held to the bounds of its row before.
func firstDifference(a, b string) (line int, inA, inB string) {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range max(len(as), len(bs)) {
		inA, inB = "", ""
		if i < len(as) {
			inA = as[i]
		}
		if i < len(bs) {
			inB = bs[i]
		}
		if !alike(inA, inB) || i >= len(as) || i >= len(bs) {
			return i + 1, inA, inB
		}
	}
	return 0, "", ""
}

// aTime is a time as seconds writes it.
var aTime = regexp.MustCompile(`(?:(\d+) min )?(\d+) s\b`)

// How far two runs may be apart: a share of the longer time, and then some.
const (
	tolerance = 0.5
	slack     = 10 * time.Second
)

func alike(a, b string) bool {
	if aTime.ReplaceAllString(a, "T") != aTime.ReplaceAllString(b, "T") {
		return false
	}
	inA, inB := aTime.FindAllStringSubmatch(a, -1), aTime.FindAllStringSubmatch(b, -1)
	for i := range inA {
		x, y := duration(inA[i]), duration(inB[i])
		if (x - y).Abs() > time.Duration(tolerance*float64(max(x, y)))+slack {
			return false
		}
	}
	return true
}

func duration(match []string) time.Duration {
	minutes, _ := strconv.Atoi(match[1]) // empty is 0
	secs, _ := strconv.Atoi(match[2])
	return time.Duration(minutes)*time.Minute + time.Duration(secs)*time.Second
}

// chapter is one part of the catalogue.
type chapter struct {
	title string
	rows  []measured
}

func recoveryText(t *testing.T, chapters []chapter) string {
	var b strings.Builder
	b.WriteString(pageHead)
	writeSummary(&b, chapters)
	b.WriteString(pageLadders)
	writeLadders(&b)
	b.WriteString(pageCatalogue)
	for _, c := range chapters {
		fmt.Fprintf(&b, "\n### %s\n\n", c.title)
		b.WriteString("| wedge | what happens | how it is noticed | called | first rung | noticed after | acknowledged again after | hint shown |\n")
		b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- |\n")
		for _, m := range c.rows {
			writeRow(&b, m)
		}
	}
	b.WriteString(pageFleet)
	for _, shape := range session.FleetShapes() {
		r := session.RunFleet(t, shape)
		fmt.Fprintf(&b, "| %s | %.2f %% | %s | %s |\n", shape.Name, float64(r.Peak)/session.FleetSize*100, seconds(r.Half), seconds(r.All))
	}
	b.WriteString(pageTail)
	return b.String()
}

func writeRow(b *strings.Builder, m measured) {
	var causes, rungs, hints []string
	var detect, back []time.Duration
	for _, o := range m.outcomes {
		causes, rungs, hints = append(causes, code(o.cause)), append(rungs, o.rung), append(hints, o.hint)
		detect, back = append(detect, o.detect), append(back, o.back)
	}
	noticed, rung := spread(detect), distinct(rungs)
	if m.kind == ridden {
		noticed, rung = "", ""
	}
	fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n",
		m.name, m.field, m.wedge.noticed, distinct(causes), rung, noticed, spread(back), distinct(hints))
}

func code(word string) string {
	if word == "" {
		return ""
	}
	return "`" + word + "`"
}

// distinct lists words once each, in order.
func distinct(words []string) string {
	words = slices.Clone(words)
	slices.Sort(words)
	return strings.Join(slices.Compact(words), ", ")
}

// spread is the median and the longest of several times.
func spread(times []time.Duration) string {
	return seconds(percentile(times, 50)) + " / " + seconds(percentile(times, 100))
}

// percentile is by nearest rank.
func percentile(times []time.Duration, p float64) time.Duration {
	times = slices.Clone(times)
	slices.Sort(times)
	return times[max(int(math.Ceil(p/100*float64(len(times)))), 1)-1]
}

// seconds rounds up to whole seconds: what is said was kept.
func seconds(d time.Duration) string {
	d = (d + time.Second - time.Nanosecond).Truncate(time.Second)
	switch {
	case d <= time.Second:
		return "1 s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	}
	return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
}

// writeSummary holds all rows against the aims.
func writeSummary(b *strings.Builder, chapters []chapter) {
	var detect, back, outsideDetect, outsideBack []time.Duration
	wedges, runs := 0, 0
	var slow, apart, resets []string
	for _, c := range chapters {
		for _, m := range c.rows {
			wedges++
			runs += len(m.outcomes)
			if m.resets > 0 {
				resets = append(resets, fmt.Sprintf("%s (%d)", m.name, m.resets))
			}
			if m.apart != "" {
				apart = append(apart, tellApart(m))
				continue
			}
			for _, o := range m.outcomes {
				beyond := max(o.back-o.boot, 0)
				if m.kind == outside {
					outsideDetect, outsideBack = append(outsideDetect, o.detect), append(outsideBack, beyond)
					continue
				}
				back = append(back, beyond)
				if m.kind == lost {
					detect = append(detect, o.detect)
				}
			}
			if m.kind == lost && m.detect > aimDetect || m.kind != outside && m.recover > aimRecover {
				slow = append(slow, m.name)
			}
		}
	}
	fmt.Fprintf(b, "%d wedges, %d runs each, %d runs in all; times are virtual, settings the defaults.\n\n", wedges, seeds, runs)
	b.WriteString("| time | aim | p50 | p99 | longest |\n| --- | --- | --- | --- | --- |\n")
	line := func(what, aim string, times []time.Duration) {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", what, aim, seconds(percentile(times, 50)), seconds(percentile(times, 99)), seconds(percentile(times, 100)))
	}
	line("a lost session is noticed", seconds(aimDetect), append(detect, outsideDetect...))
	line("a message is acknowledged again, beyond the module's boot, where the fault ends by itself or by a rung", seconds(aimRecover), back)
	line("the same where somebody else ends it, counted from then", "the back-off", outsideBack)
	fmt.Fprintf(b, "\nThe module is reset in: %s; never in the others.\n", strings.Join(resets, "; "))
	fmt.Fprintf(b, "\nA run may take longer than the aims, and is held to a bound of its own, in: %s. Not in these figures, because no policy\ncould keep the aims there:\n\n%s\n",
		orNone(slow), strings.Join(apart, "\n"))
}

// tellApart is a row that is held to no aim, with the reason.
func tellApart(m measured) string {
	var detect, back []time.Duration
	for _, o := range m.outcomes {
		detect, back = append(detect, o.detect), append(back, o.back)
	}
	return fmt.Sprintf("* **%s**: noticed after %s, acknowledged again after %s. %s.", m.name, spread(detect), spread(back), capital(m.apart))
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, "; ")
}

// writeLadders is the policy, asked the way the session asks it.
func writeLadders(b *strings.Builder) {
	b.WriteString("| cause | rungs | pace | hint |\n| --- | --- | --- | --- |\n")
	for _, c := range recovery.Causes() {
		var rungs, paces []string
		for n := 1; n <= 12; n++ {
			d := recovery.Next(c.Usual(), c, recovery.History{Attempt: n, Climb: n, Worked: true, FreshToken: true, Attached: true, ResetsLeft: 4})
			rungs, paces = append(rungs, d.Rung.String()), append(paces, d.Pace.String())
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", c, runs(rungs), runs(paces), c.Hint())
	}
}

// runs writes equal neighbours once with their number; the last one repeats for
// ever, and has none.
func runs(words []string) string {
	var list []string
	for len(words) > 0 {
		n := 1
		for n < len(words) && words[n] == words[0] {
			n++
		}
		word := words[0]
		if n > 1 && n < len(words) {
			word = fmt.Sprintf("%s × %d", word, n)
		}
		list = append(list, word)
		words = words[n:]
	}
	return strings.Join(list, ", ")
}
