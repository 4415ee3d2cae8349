package e2e

import (
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airbridged/client"
)

// shotsVariable names the directory that the pictures of both pages are put into.
const shotsVariable = "WEB_SHOTS"

// stage is both programs with their pages.
type stage struct {
	sim     *simulator
	gateway *gateway
	page    string // of the daemon
	simPage string
}

func newStage(t *testing.T, args ...string) *stage {
	t.Helper()
	address, simAddress := freeAddress(t), freeAddress(t)
	sim := newSimulator(t, append([]string{"--personality", "air780ep", "--web", simAddress}, args...)...)
	g := newGateway(t, sim.device, "[web]\nlisten = \""+address+"\"\n[recovery]\nstatus_poll = \"5m\"\n[data]\nmonthly_budget = \"30MiB\"\n"+
		"[[subscribe]]\ntopic = \""+getTopic+"/#\"\n")
	g.reaches("online", "")
	return &stage{sim, g, "http://" + address, "http://" + simAddress}
}

// markup is what an outsider would put where only text belongs.
const markup = `<img src=x onerror=document.title=1>`

// The page of the real daemon in a real browser: what it shows moves, what comes from
// outside stays text, nothing is asked of anybody else, and a restart of the daemon is
// told and got over.
func TestPageInChromium(t *testing.T) {
	b := newBrowser(t)
	s := newStage(t, "--operator", "<b>"+markup+"</b>")
	p := b.open("daemon", s.page+"/", 1000, false)
	p.until("the state", `document.getElementById("state-word").textContent === "Online"`)
	p.until("the stream", `document.getElementById("link").dataset.link === "live"`)
	if got := p.text("operator"); !strings.Contains(got, markup) {
		t.Errorf("the operator is %q", got)
	}
	up, down := updateTopic+"/<b>x</b>", getTopic+"/<b>\u202egnp.exe</b>" // the daemon takes no such topic up
	if _, err := s.gateway.client.Publish(t.Context(), up, []byte(markup), client.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the message down", func() error { // nothing tells when the cloud has granted the filter
		s.sim.push(down, []byte(markup))
		if n := s.gateway.status().Counters.Downlink; n == 0 {
			return fmt.Errorf("%d messages came down", n)
		}
		return nil
	})
	p.until("the messages", `["<b>x</b>", "<b>\\u{202e}gnp.exe</b>"].every((s) => document.getElementById("messages").textContent.includes(s))`)
	var elements int
	p.eval(`document.querySelectorAll("#messages b, #messages img, #operator *, #events b, #events img").length`, &elements)
	if elements != 0 {
		t.Errorf("%d elements were made of text from outside", elements)
	}
	var table string
	p.eval(`document.getElementById("messages").textContent`, &table)
	if strings.ContainsRune(table, '\u202e') || strings.Contains(table, "onerror") {
		t.Errorf("the messages show %q", table)
	}
	s.sim.do("csq 9")
	p.until("the signal", `document.getElementById("dbm").textContent === "-95"`)
	s.sim.do("sim removed")
	p.until("the cause", `document.getElementById("state-text").textContent.includes("sim-missing") && !document.getElementById("state-hint").hidden`)
	s.sim.do("sim inserted")
	p.until("the way back", `document.getElementById("state").dataset.level === "good"`)

	s.gateway.stop()
	p.until("that the daemon is gone", `document.getElementById("link").dataset.link === "lost" && document.getElementById("link").textContent.includes("Trying again in")`)
	s.gateway.start()
	p.until("that it is back", `document.getElementById("link").dataset.link === "live"`)
	p.until("what it shows", `document.getElementById("state-word").textContent === "Online"`)

	requests, console, violations := b.seen()
	for _, url := range requests {
		if !strings.HasPrefix(url, s.page+"/") {
			t.Errorf("the page asked for %s", url)
		}
	}
	if len(violations) > 0 {
		t.Errorf("against its policy: %q", violations)
	}
	for _, line := range console {
		if !strings.Contains(line, "net::ERR_") { // while the daemon was gone
			t.Errorf("the console: %s", line)
		}
	}
}

// Both pages fit a phone, follow the browser's colours, and can be used without a mouse.
func TestPagesFitAPhoneAndAKeyboard(t *testing.T) {
	b := newBrowser(t)
	s := newStage(t)
	if _, err := s.gateway.client.Publish(t.Context(), updateTopic+"/"+strings.Repeat("long", 15), []byte("x"), client.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, url := range map[string]string{"daemon": s.page, "airsim": s.simPage} {
		p := b.open(name, url+"/", 320, true)
		p.until("the stream", `document.getElementById("link").dataset.link === "live"`)
		p.eval(`document.querySelectorAll("details").forEach((d) => { d.open = true; })`, nil)
		for _, width := range []int{320, 360, 768, 1400} {
			b.do(request{Do: "size", Page: name, Width: width, Height: 700}, nil)
			var over int
			if p.eval(`document.documentElement.scrollWidth - innerWidth`, &over); over > 0 {
				t.Errorf("%s is %d pixels wider than a screen of %d", name, over, width)
			}
		}
		var dark string
		if p.eval(`getComputedStyle(document.body).backgroundColor`, &dark); dark != "rgb(16, 20, 24)" {
			t.Errorf("%s at night is %s", name, dark)
		}
		var want, got []string
		p.eval(`[...document.querySelectorAll("a, button, input, summary, [tabindex='0']")].map((e) => e.id || e.textContent.trim().slice(0, 30))`, &want)
		for range want {
			b.do(request{Do: "press", Page: name, JS: "Tab"}, nil)
			var one string
			p.eval(`(() => { const e = document.activeElement, s = getComputedStyle(e); return (e.id || e.textContent.trim().slice(0, 30)) + (s.outlineStyle === "none" ? " without a frame" : ""); })()`, &one)
			got = append(got, one)
		}
		if len(want) < 5 || strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%s by the keyboard: %q\nwant %q", name, got, want)
		}
		var unnamed []string
		p.eval(`[...document.querySelectorAll("button, input, [role=meter], [role=img], table, ol[tabindex], [role=region]")].filter((e) => !(e.textContent.trim() && e.tagName === "BUTTON") && !e.getAttribute("aria-label") && !e.getAttribute("aria-labelledby") && !(e.labels && e.labels.length) && e.tagName !== "TABLE").map((e) => e.outerHTML.slice(0, 80))`, &unnamed)
		if len(unnamed) > 0 {
			t.Errorf("%s: a screen reader has no name for %q", name, unnamed)
		}
	}
}

// A button of the simulator's page pulls the SIM, and the daemon's page tells of it.
func TestButtonsInChromium(t *testing.T) {
	b := newBrowser(t)
	s := newStage(t)
	daemon, sim := b.open("daemon", s.page+"/", 1000, false), b.open("airsim", s.simPage+"/", 1000, false)
	daemon.until("the state", `document.getElementById("state-word").textContent === "Online"`)
	sim.until("the line", `document.querySelectorAll("#talk li").length > 20`)
	if _, err := s.gateway.client.Publish(t.Context(), updateTopic, []byte(markup), client.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	sim.until("the message", `document.getElementById("cloud").textContent.includes("onerror")`)
	var elements int
	if sim.eval(`document.querySelectorAll("#cloud img, #talk img").length`, &elements); elements != 0 {
		t.Errorf("%d elements were made of a payload", elements)
	}
	sim.click("text=SIM out")
	sim.until("the answer", `document.getElementById("answer").textContent.startsWith("airsim do sim removed")`)
	daemon.until("the cause", `document.getElementById("state-text").textContent.includes("sim-missing")`)
	sim.click("text=SIM in")
	daemon.until("the way back", `document.getElementById("state-word").textContent === "Online"`)
	sim.do(request{Do: "fill", Page: "airsim", JS: "#order", Text: "no such order"}, nil)
	sim.click("#give")
	sim.until("what is wrong", `document.getElementById("answer").textContent.includes("unknown command")`)
	if _, console, violations := b.seen(); len(violations) > 0 || strings.Contains(strings.Join(console, "\n"), "uncaught") {
		t.Errorf("%q %q", console, violations)
	}
}

// The page of another site, in the same browser, reads nothing of both pages and orders
// nothing, by whatever a browser offers.
func TestAnotherSiteInChromium(t *testing.T) {
	b := newBrowser(t)
	s := newStage(t)
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, `<!doctype html><title>evil</title><body></body>`)
	}))
	defer evil.Close()
	before := s.sim.transcript(t)
	// Another port is the same site; another name for this machine is another one.
	for _, from := range []string{evil.URL, strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)} {
		p := b.open("evil", from, 800, false)
		for _, target := range []string{s.page, s.simPage} {
			var got []string
			p.eval(fmt.Sprintf(`(async (to) => {
				const got = [], tries = (name, f) => Promise.race([f().then((r) => { if (r) got.push(name); }, () => {}), new Promise((r) => setTimeout(r, 1500))]);
				await tries("fetch", async () => (await fetch(to + "/page/live")).ok);
				await tries("opaque", async () => { await fetch(to + "/page/do", { method: "POST", mode: "no-cors", body: "hang" }); return false; });
				await tries("order", async () => (await fetch(to + "/page/do", { method: "POST", headers: { "X-Airsim": "order" }, body: "hang" })).ok);
				await tries("stream", () => new Promise((yes, no) => { const e = new EventSource(to + "/page/live"); e.addEventListener("frame", () => yes(true)); e.onerror = () => { e.close(); no(); }; }));
				await tries("script", () => new Promise((yes, no) => { const e = document.createElement("script"); e.src = to + "/page/page.js"; e.onload = () => yes(true); e.onerror = no; document.body.append(e); }));
				await tries("picture", () => new Promise((yes, no) => { const e = new Image(); e.src = to + "/page/icon.svg"; e.onload = () => yes(true); e.onerror = no; }));
				await tries("style", () => new Promise((yes, no) => { const e = document.createElement("link"); e.rel = "stylesheet"; e.href = to + "/page/page.css"; e.onload = () => yes(true); e.onerror = no; document.body.append(e); }));
				await tries("form", () => new Promise((yes) => { const f = document.createElement("form"), i = document.createElement("iframe"); i.name = "f"; f.method = "post"; f.enctype = "text/plain"; f.action = to + "/page/do"; f.target = "f"; document.body.append(i, f); f.submit(); setTimeout(() => yes(false), 500); }));
				await tries("frame", () => new Promise((yes) => { const i = document.createElement("iframe"); i.src = to + "/"; i.onload = () => { let d = null; try { d = i.contentDocument; } catch {} yes(d !== null && d.title !== "" ); }; document.body.append(i); }));
				return got;
			})(%q)`, target), &got)
			if len(got) > 0 {
				t.Errorf("from %s to %s: %q", from, target, got)
			}
		}
	}
	for _, e := range s.sim.transcript(t)[len(before):] {
		if strings.Contains(e.Text, "hang") {
			t.Errorf("another site has ordered: %+v", e)
		}
	}
}

// The pictures of both pages that the documents show.
func TestPicturesOfThePages(t *testing.T) {
	dir := os.Getenv(shotsVariable)
	if dir == "" {
		t.Skip("make web takes them")
	}
	b := newBrowser(t)
	s := newStage(t, "--latency")
	daemon, sim := b.open("daemon", s.page+"/", 800, false), b.open("airsim", s.simPage+"/", 800, false)
	for i := range 4 {
		payload := fmt.Sprintf(`{"temperature":21.%d}`, i)
		if _, err := s.gateway.client.Publish(t.Context(), updateTopic, []byte(payload), client.PublishOptions{Wait: patience}); err != nil {
			t.Fatal(err)
		}
	}
	for _, csq := range []int{24, 21, 15, 11, 14, 19, 23, 25} {
		s.sim.do(fmt.Sprintf("csq %d", csq))
		daemon.until("the signal", fmt.Sprintf(`document.getElementById("dbm").textContent === "%d"`, -113+2*csq))
	}
	for name, p := range map[string]tab{"page.png": daemon, "airsim-page.png": sim} {
		path := filepath.Join(dir, name)
		p.do(request{Do: "shot", Page: p.name, JS: path}, nil)
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if picture, err := png.DecodeConfig(file); err != nil || info.Size() > 150<<10 || picture.Width != 800 {
			t.Errorf("%s: %+v, %d bytes, %v", name, picture, info.Size(), err)
		}
	}
}
