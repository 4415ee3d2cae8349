package e2e

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

//go:embed testdata/soak.gp
var soakPlot string

// sample is the daemon at one moment, seen from outside.
type sample struct {
	at                  time.Duration
	resident, anonymous float64 // MiB
	descriptors         int
	goroutines          int
	queued              int
	median, most        time.Duration // from publish to acknowledgement, since the last sample
	some                bool          // there were any
	online              bool
	recoveries          int64
	cpu                 float64 // seconds so far
}

// sample looks at the process, its metrics and its status.
func (s *soak) sample() {
	v := sample{at: s.elapsed()}
	proc := fmt.Sprintf("/proc/%d/", s.g.cmd.Process.Pid)
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		return // the daemon has ended, and run says so
	}
	v.resident = float64(field(s.T, string(status), "VmRSS:")) / 1024
	v.anonymous = float64(field(s.T, string(status), "RssAnon:")) / 1024
	fds, err := os.ReadDir(proc + "fd")
	if err != nil {
		return
	}
	v.descriptors = len(fds)
	page := s.page()
	v.goroutines = int(gauge(s.T, page, "go_goroutines"))
	v.cpu = gauge(s.T, page, "process_cpu_seconds_total")
	st := s.g.status()
	v.queued, v.online = st.Outbox.Messages, st.State == "online"
	v.median, v.most, v.some = s.book.latency()
	v.recoveries = s.load.recoveries.Load()
	s.taken = append(s.taken, v)
}

// page is the daemon's metrics.
func (s *soak) page() string {
	s.Helper()
	api := unixClient(s.g.socket)
	defer api.CloseIdleConnections()
	resp, err := api.Get("http://airbridged/metrics")
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.Fatalf("metrics: %s, %v", resp.Status, err)
	}
	return string(page)
}

// gauge finds a value without labels on a metrics page.
func gauge(t *testing.T, page, name string) float64 {
	t.Helper()
	for line := range strings.Lines(page) {
		if text, found := strings.CutPrefix(line, name+" "); found {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("the metrics page has no %s", name)
	return 0
}

// growth is how one series rises over the second half of a run.
type growth struct {
	what       string
	most, rise float64
}

// growths fits a line to the second half of each series.
func growths(taken []sample) []growth {
	series := []struct {
		what string
		of   func(sample) float64
	}{
		{"anonymous MiB", func(s sample) float64 { return s.anonymous }},
		{"descriptors", func(s sample) float64 { return float64(s.descriptors) }},
		{"goroutines", func(s sample) float64 { return float64(s.goroutines) }},
		{"queued messages", func(s sample) float64 { return float64(s.queued) }},
	}
	half := taken[len(taken)/2:]
	var list []growth
	for _, s := range series {
		x, y := make([]float64, len(half)), make([]float64, len(half))
		g := growth{what: s.what}
		for i, v := range half {
			x[i], y[i] = v.at.Seconds(), s.of(v)
		}
		for _, v := range taken {
			g.most = max(g.most, s.of(v))
		}
		if len(half) > 1 {
			g.rise = slope(x, y) * (x[len(x)-1] - x[0])
		}
		list = append(list, g)
	}
	return list
}

// slope is that of the line with the least squares.
func slope(x, y []float64) float64 {
	var mx, my, sxy, sxx float64
	for i := range x {
		mx, my = mx+x[i]/float64(len(x)), my+y[i]/float64(len(x))
	}
	for i := range x {
		sxy, sxx = sxy+(x[i]-mx)*(y[i]-my), sxx+(x[i]-mx)*(x[i]-mx)
	}
	return sxy / sxx
}

// The bounds find a leak of a descriptor in three minutes or of 3 MiB an hour
// under the noise of a daemon at work, and pass a sawtooth.
func TestSoakFindsALeak(t *testing.T) {
	t.Parallel()
	series := func(leakMiB, leakFDs float64) (taken []sample) {
		for i := range 720 {
			h := float64(i) / 720
			taken = append(taken, sample{
				at: time.Duration(i) * 5 * time.Second, anonymous: 9 + float64(i%17)/5 + leakMiB*h,
				descriptors: 14 + i%5 + int(leakFDs*h), goroutines: 20 + i%7, queued: max(0, i%90-70) * 4,
			})
		}
		return taken
	}
	for _, c := range []struct {
		name     string
		mib, fds float64
		over     string
	}{{"a sawtooth", 0, 0, ""}, {"memory", 5, 0, "anonymous MiB"}, {"descriptors", 0, 20, "descriptors"}} {
		over := ""
		for _, g := range growths(series(c.mib, c.fds)) {
			if g.rise > limits[g.what] {
				over += g.what
			}
		}
		if over != c.over {
			t.Errorf("%s: over the bound is %q, want %q", c.name, over, c.over)
		}
	}
}

// write leaves samples.csv, faults.csv, summary.txt, the daemon's log and, where
// gnuplot is installed, soak.svg and soak.png.
func (s *soak) write(summary string) {
	s.Helper()
	rows := [][]string{{
		"seconds", "resident_mib", "anonymous_mib", "descriptors", "goroutines", "queued",
		"ack_median_seconds", "ack_max_seconds", "online", "recoveries", "cpu_seconds",
	}}
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }
	for _, v := range s.taken {
		median, most := "", ""
		if v.some {
			median, most = number(v.median.Seconds()), number(v.most.Seconds())
		}
		online := "0"
		if v.online {
			online = "1"
		}
		rows = append(rows, []string{
			number(v.at.Seconds()), number(v.resident), number(v.anonymous), strconv.Itoa(v.descriptors), strconv.Itoa(v.goroutines),
			strconv.Itoa(v.queued), median, most, online, strconv.FormatInt(v.recoveries, 10), number(v.cpu),
		})
	}
	s.table("samples.csv", rows)
	rows = [][]string{{"seconds", "fault"}}
	for _, f := range s.struck {
		rows = append(rows, []string{number(f.at.Seconds()), f.order})
	}
	s.table("faults.csv", rows)
	write(s.T, filepath.Join(s.dir, "summary.txt"), summary, 0o644)
	write(s.T, filepath.Join(s.dir, "airbridged.log"), s.g.out.String(), 0o644)
	s.plot()
}

func (s *soak) table(name string, rows [][]string) {
	s.Helper()
	var b strings.Builder
	if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
		s.Fatal(err)
	}
	write(s.T, filepath.Join(s.dir, name), b.String(), 0o644)
}

// plot draws the samples as SVG and PNG.
func (s *soak) plot() {
	s.Helper()
	if _, err := exec.LookPath("gnuplot"); err != nil {
		s.Log("gnuplot is not installed (Debian: gnuplot-nox): no picture")
		return
	}
	for _, terminal := range []string{"svg", "png"} {
		cmd := exec.Command("gnuplot", "-e", fmt.Sprintf("kind='%s'", terminal), "-")
		cmd.Dir, cmd.Stdin = s.dir, strings.NewReader(soakPlot)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			s.Errorf("gnuplot: %v\n%s", err, out)
		}
	}
	picture := filepath.Join(s.dir, "soak.svg")
	if drawn, err := os.ReadFile(picture); err == nil {
		write(s.T, picture, slimmer(string(drawn)), 0o644)
	}
}

var (
	soakPoint  = regexp.MustCompile(`<use xlink:href='#gpPt6' transform='translate\(([\d.,]+)\)[^>]*color='([^']*)'/>`)
	soakPoints = regexp.MustCompile(`(?:<use xlink:href='#gpPt6' transform=[^>]*/>\s*)+`)
)

// slimmer is a picture of gnuplot's that looks the same and is a third of its size.
func slimmer(svg string) string {
	return soakShade.ReplaceAllStringFunc(soakPoints.ReplaceAllStringFunc(svg, joinPoints), straighten)
}

var soakShade = regexp.MustCompile(`points = '[^']*'`)

// straighten leaves out the points of a polygon that lie on a level line between two
// others.
func straighten(points string) string {
	list := strings.Fields(strings.Trim(strings.TrimPrefix(points, "points = "), "'"))
	level := func(p string) string { _, y, _ := strings.Cut(p, ","); return y }
	var kept []string
	for i, p := range list {
		if i > 0 && i < len(list)-1 && level(list[i-1]) == level(p) && level(p) == level(list[i+1]) {
			continue
		}
		kept = append(kept, p)
	}
	return "points = '" + strings.Join(kept, " ") + "'"
}

// joinPoints makes one path of the points of a series, each of which gnuplot draws
// as an element of 100 bytes. What is seen stays the same.
func joinPoints(series string) string {
	points := soakPoint.FindAllStringSubmatch(series, -1)
	var path strings.Builder
	for _, p := range points {
		fmt.Fprintf(&path, "M%sh0", p[1])
	}
	return fmt.Sprintf("<path stroke='%s' stroke-width='2.7' stroke-linecap='round' d='%s'/>\n", points[0][2], &path)
}
