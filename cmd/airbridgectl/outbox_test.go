package main

import (
	"bufio"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"airbridged/client"
	"airbridged/internal/ipc"
	"airbridged/internal/outbox"
)

// startIdle is start with a queue from which nobody sends.
func startIdle(t *testing.T) *outbox.Queue {
	t.Helper()
	q := outbox.New(outbox.Limits{})
	start(t, func(o *ipc.Options) { o.Outbox = q })
	return q
}

func put(t *testing.T, q *outbox.Queue, m outbox.Message) string {
	t.Helper()
	m, err := q.Append(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// shown is a listing without its ids and ages, which differ.
func shown(t *testing.T, out string) string {
	t.Helper()
	return regexp.MustCompile(`(?m)^[0-9a-v]{24} {6}\ds `).ReplaceAllString(out, "<id> <age> ")
}

func TestOutboxForATiredPerson(t *testing.T) {
	q := startIdle(t)
	code, out, errs := ctl(nil, "outbox")
	if code != 0 || out != "" || errs != "airbridgectl: the outbox is empty\n" {
		t.Errorf("empty: %d, %q, %q", code, out, errs)
	}
	put(t, q, outbox.Message{Topic: "/a1b2c3/gw-1/update", Payload: []byte("hello"), QoS: 1, Priority: outbox.High})
	put(t, q, outbox.Message{Topic: "/a", Payload: make([]byte, 1360), QoS: 1, Priority: outbox.Low, TTL: time.Hour})
	put(t, q, outbox.Message{Topic: "/\u202etxt", QoS: 0, Priority: outbox.Normal}) // turns a terminal's text around
	if _, ok := q.Take(); !ok {
		t.Fatal("nothing to take")
	}
	want := "" +
		"ID                           AGE  BYTES PRIORITY ATTEMPTS STATE    TOPIC\n" +
		"<id> <age>      5 high            1 inflight /a1b2c3/gw-1/update\n" +
		"<id> <age>   1360 low             0 queued   /a\n" +
		"<id> <age>      0 normal          0 held     \"/\\u202etxt\"\n"
	for _, args := range [][]string{{"outbox"}, {"outbox", "-n", "3"}, {"outbox", "-n", "4"}} {
		code, out, errs = ctl(nil, args...)
		if code != 0 || shown(t, out) != want || errs != "" {
			t.Errorf("%v: %d\n%s\n%s", args, code, out, errs)
		}
	}
	code, out, errs = ctl(nil, "outbox", "-n", "1")
	if code != 0 || strings.Count(out, "\n") != 2 || errs != "airbridgectl: 1 of 3 messages\n" {
		t.Errorf("the first: %d, %q, %q", code, out, errs)
	}
}

// Messages that go together in one publish are told from those that are one: a thousand
// readings that wait are no thousand publishes.
func TestOutboxTellsReadingsFromPublishes(t *testing.T) {
	q := outbox.New(outbox.Limits{})
	start(t, func(o *ipc.Options) {
		o.Outbox = q
		o.Batched = func(topic string) bool { return topic == "/readings" }
	})
	for _, topic := range []string{"/readings", "/readings", "/alone", "/readings"} {
		put(t, q, outbox.Message{Topic: topic, QoS: 1})
	}
	q.Take()
	q.TakeAlong()
	code, out, errs := ctl(nil, "outbox")
	want := "airbridgectl: 3 readings, which go together ([[batch]]), 2 of them in the publish in flight; 1 message each in a publish of its own\n"
	if code != 0 || strings.Count(out, "inflight") != 2 || errs != want {
		t.Errorf("%d\n%s\n%s", code, out, errs)
	}
	if _, out, _ = ctl(nil, "outbox", "--json"); strings.Count(out, `"reading":true`) != 3 {
		t.Errorf("in JSON:\n%s", out)
	}
}

// A clock that was set after a message came must not print a negative age.
func TestOutboxAge(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for want, age := range map[string]time.Duration{"0s": -time.Hour, "59s": 59 * time.Second, "3d4h": 76 * time.Hour, "400d0h": 9600 * time.Hour} {
		var b strings.Builder
		writeRow(&b, client.OutboxMessage{ID: "x", AcceptedAt: ptr(now.Add(-age))}, now)
		if got := strings.Fields(b.String())[1]; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// The lines are the objects of the socket API, all pages of them.
func TestOutboxJSON(t *testing.T) {
	q := startIdle(t)
	if code, out, errs := ctl(nil, "--json", "outbox"); code != 0 || out != "" || errs != "" {
		t.Errorf("empty: %d, %q, %q", code, out, errs)
	}
	var ids []string
	for range client.MaxPage + 2 {
		ids = append(ids, put(t, q, outbox.Message{Topic: "/a?<>&", Payload: []byte("hello"), QoS: 1}))
	}
	for _, args := range [][]string{{"outbox", "--json"}, {"--json", "outbox"}} {
		code, out, errs := ctl(nil, args...)
		var got []string
		lines := bufio.NewScanner(strings.NewReader(out))
		for lines.Scan() {
			var m map[string]any
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil || len(m) != 9 || m["topic"] != "/a?<>&" || m["bytes"] != 5.0 || m["expires_at"] != nil || m["state"] != "queued" {
				t.Fatalf("%v: %s: %v", args, lines.Text(), err)
			}
			got = append(got, m["id"].(string))
		}
		if code != 0 || errs != "" || !slices.Equal(got, ids) {
			t.Errorf("%v: %d, %d lines, %q", args, code, len(got), errs)
		}
	}
	_, out, _ := ctl(nil, "outbox", "--json", "-n", "1")
	accepted := regexp.MustCompile(`"accepted_at":"[^"]+"`)
	want := `{"id":"` + ids[0] + `","topic":"/a?<>&","qos":1,"priority":"high","bytes":5,<accepted>,"expires_at":null,"attempts":0,"state":"queued"}` + "\n"
	if got := accepted.ReplaceAllString(out, "<accepted>"); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if _, out, _ := ctl(nil, "outbox", "--json", "-n", "1001"); strings.Count(out, "\n") != 1001 {
		t.Errorf("a number over one page: %d lines", strings.Count(out, "\n"))
	}
}

func TestOutboxDrop(t *testing.T) {
	q := startIdle(t)
	flying := put(t, q, outbox.Message{Topic: "/a", QoS: 1})
	if _, ok := q.Take(); !ok {
		t.Fatal("nothing to take")
	}
	var ids []string
	for range 5 {
		ids = append(ids, put(t, q, outbox.Message{Topic: "/a", QoS: 1}))
	}
	for _, c := range []struct {
		args   []string
		code   int
		stdout string
		says   string // what stderr has to contain; empty: it is empty
	}{
		{[]string{"drop", ids[0]}, 0, "1 dropped\n", ""},
		{[]string{"drop", "--json", ids[1], ids[2]}, 0, `{"dropped":2}` + "\n", ""},
		{[]string{"drop", ids[0]}, exitRefused, "0 dropped\n", "is dropped already"},
		{[]string{"drop", flying}, exitTryAgain, "0 dropped\n", "try again in 5 s"},
		{[]string{"drop", flying, ids[3], "long-ago"}, exitTryAgain, "1 dropped\n", `no message with the id "long-ago" is known`},
		{[]string{"drop", "long-ago", flying}, exitRefused, "0 dropped\n", "cannot be called back"},
		{[]string{"drop", ""}, exitUsage, "", "an id is empty"},
		{[]string{"drop", "--topic", "/b"}, 0, "0 dropped\n", ""},
		{[]string{"drop", "--topic", "/a/#/b"}, exitRefused, "", "hint: nothing was dropped"},
		{[]string{"--json", "drop", "--topic=#"}, 0, `{"dropped":1}` + "\n", ""},
	} {
		code, out, errs := ctl(nil, append([]string{"outbox"}, c.args...)...)
		if code != c.code || out != c.stdout || !strings.Contains(errs, c.says) || (c.says == "") != (errs == "") {
			t.Errorf("%v: %d, %q, %q", c.args, code, out, errs)
		}
	}
	if page, _ := q.List("", 10); len(page) != 1 || page[0].ID != flying {
		t.Errorf("left: %+v", page)
	}
}

// What was accepted for another device is shown, given up or sent as this one's.
func TestForeignMessages(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may")
	}
	q := startIdle(t)
	other := func() {
		t.Helper()
		q.Device(outbox.Device{ProductKey: "a1b2c3", DeviceName: "gw-0"})
		if code, _, errs := ctl(nil, "pub", "/a1b2c3/gw-0/waits", "x"); code != 0 {
			t.Fatal(errs)
		}
		q.Device(outbox.Device{ProductKey: "a1b2c3", DeviceName: "gw-1"})
	}
	for _, c := range []struct{ command, want, json string }{
		{"drop --foreign", "1 dropped\n", `{"dropped":0}` + "\n"},
		{"retarget", "1 retargeted\n", `{"retargeted":0}` + "\n"},
	} {
		other()
		if _, out, _ := ctl(nil, "outbox"); !strings.Contains(out, " foreign ") {
			t.Errorf("%s", out)
		}
		args := append([]string{"outbox"}, strings.Fields(c.command)...)
		if code, out, errs := ctl(nil, args...); code != 0 || out != c.want {
			t.Errorf("%s: %d, %q, %q", c.command, code, out, errs)
		}
		if code, out, errs := ctl(nil, append([]string{"--json"}, args...)...); code != 0 || out != c.json {
			t.Errorf("%s: %d, %q, %q", c.command, code, out, errs)
		}
	}
	if _, out, _ := ctl(nil, "outbox"); !strings.Contains(out, "/a1b2c3/gw-1/waits") {
		t.Errorf("%s", out)
	}
}
