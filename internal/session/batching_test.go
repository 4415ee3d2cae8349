package session_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"airbridged/internal/air"
	"airbridged/internal/airsim"
	"airbridged/internal/batch"
	"airbridged/internal/outbox"
	"airbridged/internal/session"
)

// batching is a setup in which the readings of update travel by a rule.
func batching(rule batch.Rule) setup {
	rule.Topic = update
	if rule.MaxMessages == 0 {
		rule.MaxMessages = 100
	}
	return setup{session: func(o *session.Options) {
		o.Limits.Batch(func(string) batch.Rules { return batch.Rules{rule} })
	}}
}

var lines = batch.Form{Envelope: batch.NDJSON}

// batches are the readings of each publish that the cloud got, in words: readings of one
// stand together, publishes apart.
func (w *world) batches(f batch.Form) string {
	w.Helper()
	var list []string
	for _, m := range w.cloud.Messages() {
		if m.Topic != update {
			list = append(list, string(m.Payload))
			continue
		}
		readings, err := f.Decode(m.Payload)
		if err != nil {
			w.Errorf("the cloud got %q: %v", m.Payload, err)
		}
		words := make([]string, len(readings))
		for i, r := range readings {
			words[i] = string(r)
		}
		list = append(list, strings.Join(words, "+"))
	}
	return strings.Join(list, " ")
}

// fill has so many readings wait, numbered from 1, while a message is in flight.
func (w *world) fill(n int) (ids []string) {
	w.Helper()
	for i := range n {
		ids = append(ids, w.append(update, 1, fmt.Sprint(i+1)))
	}
	return ids
}

func (w *world) end1(ids []string, want outbox.State) {
	w.Helper()
	for i, id := range ids {
		if m := w.settled(id); m.State != want {
			w.Errorf("reading %d ended as %s, want %s", i+1, m.State, want)
		}
	}
}

// A lone reading goes at once, in the form of its topic; what comes while it is in
// flight goes together, and one PUBACK acknowledges all of it.
func TestReadingsTravelTogether(t *testing.T) {
	online(t, batching(batch.Rule{Form: lines}), func(t *testing.T, w *world) {
		before := w.count("AT+MPUB")
		ids := w.fill(1)
		time.Sleep(10 * time.Millisecond) // it is in flight
		for i := range 20 {
			ids = append(ids, w.append(update, 1, fmt.Sprint(i+2)))
		}
		other := w.append(get, 1, "other")
		w.end1(append(ids, other), outbox.Acked)
		if got, want := w.batches(lines), "1 2+3+4+5+6+7+8+9+10+11+12+13+14+15+16+17+18+19+20+21 other"; got != want {
			t.Errorf("the cloud got %q, want %q", got, want)
		}
		if n := w.count("AT+MPUB") - before; n != 3 {
			t.Errorf("%d publishes, want 3", n)
		}
		if n := w.board.Status().Counters.Acked; n != 22 {
			t.Errorf("%d acknowledged, want 22", n)
		}
	})
}

// Priority, and the order of a program within the topic, hold for each reading. What
// is of QoS 0 goes alone, in the same form.
func TestABatchIsOfOneClass(t *testing.T) {
	online(t, batching(batch.Rule{Form: lines, MaxMessages: 3}), func(t *testing.T, w *world) {
		w.fill(1)
		time.Sleep(10 * time.Millisecond)
		var last string
		for i, m := range []outbox.Message{
			{Priority: outbox.Normal},
			{Priority: outbox.Low},
			{Priority: outbox.Normal},
			{Priority: outbox.High},
			{Priority: outbox.Normal},
			{Priority: outbox.Normal},
			{Priority: outbox.Normal, QoS: 7},
			{Priority: outbox.Normal},
			{Priority: outbox.Low},
		} {
			m.Topic, m.Payload, m.QoS = update, fmt.Append(nil, i+2), 1-m.QoS/7
			kept, err := w.queue.Append(w.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			last = kept.ID
		}
		w.end1([]string{last}, outbox.Acked)
		if got, want := w.batches(lines), "1 5 2+4+6 7 8 9 3+10"; got != want {
			t.Errorf("the cloud got %q, want %q", got, want)
		}
	})
}

// As many as fit go: into what the rule allows, into what the module carries, and
// compressed that is more of them.
func TestABatchIsAsLargeAsFits(t *testing.T) {
	dictionary := []byte(reading(0))
	for name, c := range map[string]struct {
		rule batch.Rule
		want int // in the first of the batches
	}{
		"the rule's bytes":     {batch.Rule{Form: lines, MaxBytes: 200}, 3},
		"the rule's number":    {batch.Rule{Form: lines, MaxMessages: 7}, 7},
		"what a module takes":  {batch.Rule{Form: batch.Form{Envelope: batch.JSONArray}, MaxMessages: 200}, 69},
		"compressed":           {batch.Rule{Form: batch.Form{Envelope: batch.NDJSON, Compress: batch.Deflate, Dictionary: dictionary}, MaxBytes: 200}, 28},
		"compressed, in text":  {batch.Rule{Form: batch.Form{Envelope: batch.NDJSON, Compress: batch.Gzip, Encoding: batch.Base64}, MaxBytes: 200}, 10},
		"behind their lengths": {batch.Rule{Form: batch.Form{Envelope: batch.LengthPrefixed}, MaxBytes: 200}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			online(t, batching(c.rule), func(t *testing.T, w *world) {
				ids := []string{w.append(update, 1, reading(0))}
				time.Sleep(10 * time.Millisecond)
				for i := range 120 {
					ids = append(ids, w.append(update, 1, reading(i+1)))
				}
				w.end1(ids, outbox.Acked)
				batches := strings.Split(w.batches(c.rule.Form), " ")
				if n := strings.Count(batches[1], "+") + 1; n != c.want {
					t.Errorf("%d readings in a batch, want %d", n, c.want)
				}
				if got := strings.Count(strings.Join(batches, "+"), "+") + 1; got != len(ids) {
					t.Errorf("%d readings arrived, want %d", got, len(ids))
				}
			})
		})
	}
}

func reading(i int) string {
	return fmt.Sprintf(`{"source":"meter-7","t":%d,"n":%d,"value":%d.%d}`, 1796000000+10*i, 48213+i, 21+i/10%3, (i*7)%10)
}

// Nobody knows what became of a batch: all of it goes again, once for each time, and
// nothing is acknowledged that was not in the publish of the PUBACK.
func TestABatchOfUnknownOutcomeRepeats(t *testing.T) {
	for _, how := range []string{"puback never", "puback late 45s"} {
		t.Run(how, func(t *testing.T) {
			online(t, batching(batch.Rule{Form: lines}), func(t *testing.T, w *world) {
				ids := w.fill(1)
				time.Sleep(10 * time.Millisecond)
				for i := range 4 {
					ids = append(ids, w.append(update, 1, fmt.Sprint(i+2)))
				}
				w.end1(ids[:1], outbox.Acked)
				time.Sleep(time.Millisecond)
				w.order(how)
				time.Sleep(20 * time.Millisecond)
				late := w.append(update, 1, "6")
				if m, _ := w.queue.Get(ids[1]); m.State != outbox.InFlight {
					t.Errorf("a reading of the batch is %s", m.State)
				}
				w.end1(append(ids, late), outbox.Acked)
				if got := w.batches(lines); got != "1 2+3+4+5 2+3+4+5+6" {
					t.Errorf("the cloud got %q", got)
				}
				if n := w.board.Status().Counters.Unknown; n != 4 {
					t.Errorf("%d outcomes unknown, want 4", n)
				}
			})
		})
	}
}

// One reading that no module takes must not take those beside it with it, and must not
// hold up the rest for ever: a batch that failed twice goes reading by reading, and only
// then is one set aside.
func TestARefusedBatchGoesSingly(t *testing.T) {
	for _, how := range []string{"", " 50"} { // ERROR proves nothing and ends the session, 50 proves that nothing went
		t.Run("error"+how, func(t *testing.T) {
			online(t, batching(batch.Rule{Form: lines, MaxMessages: 4}), func(t *testing.T, w *world) {
				// What the module stumbles over is 4, and the batch that it is in.
				w.order(`on ">AT+MPUB=\"` + update + `\",1,0,\"2\\0A3" count=all error AT+MPUB` + how)
				w.order(`on ">AT+MPUB=\"` + update + `\",1,0,\"4\\0A" count=all error AT+MPUB` + how)
				ids := w.fill(1)
				time.Sleep(10 * time.Millisecond)
				for i := range 6 {
					ids = append(ids, w.append(update, 1, fmt.Sprint(i+2)))
				}
				for i, id := range ids {
					state := outbox.Acked
					if i+1 == 4 {
						state = outbox.Rejected
					}
					if m := w.settled(id); m.State != state {
						t.Errorf("reading %d ended as %s (%s), want %s", i+1, m.State, m.Reason, state)
					}
				}
				if got := w.batches(lines); got != "1 2 3 5 6+7" {
					t.Errorf("the cloud got %q", got)
				}
				if n := w.count(`AT+MPUB="` + update + `",1,0,"2\0A3`); n != 2 {
					t.Errorf("the batch was tried %d times, want 2", n)
				}
			})
		})
	}
}

// What does not fit alone is set aside with words, and the others go on. It was
// accepted: the rule, or the module, came later.
func TestAReadingThatDoesNotFitAlone(t *testing.T) {
	online(t, setup{module: func(o *airsim.Options) { o.Personality = "air780ep" }}, func(t *testing.T, w *world) {
		w.order("outage on")
		time.Sleep(time.Second)
		good := w.append(update, 1, `"good"`)
		text := w.append(update, 1, "plain text")
		long := w.append(update, 1, `"`+strings.Repeat("x", 300)+`"`)
		last := w.append(update, 1, `"last"`)
		w.options.Limits.Batch(func(string) batch.Rules {
			return batch.Rules{{Topic: update, Form: lines, MaxBytes: 200, MaxMessages: 10}}
		})
		w.order("outage off")
		w.end1([]string{good, last}, outbox.Acked)
		if m := w.settled(text); m.State != outbox.Rejected || !strings.Contains(m.Reason, "not JSON") {
			t.Errorf("plain text ended as %s: %s", m.State, m.Reason)
		}
		if m := w.settled(long); m.State != outbox.Rejected || !strings.Contains(m.Reason, "303 bytes, and its [[batch]] rule allows 200") {
			t.Errorf("a long one ended as %s: %s", m.State, m.Reason)
		}
	})
}

// A reading that lives for a short time, or is replaced, is not in a batch that goes
// afterwards; each ends for itself.
func TestReadingsEndEachForItself(t *testing.T) {
	online(t, batching(batch.Rule{Form: lines}), func(t *testing.T, w *world) {
		w.order("puback never")
		ids := w.fill(1)
		time.Sleep(10 * time.Millisecond)
		short, err := w.queue.Append(context.Background(), outbox.Message{Topic: update, QoS: 1, Payload: []byte("2"), Priority: outbox.Normal, TTL: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, w.append(update, 1, "3"))
		w.end1(ids, outbox.Acked)
		w.end1([]string{short.ID}, outbox.Expired)
		if got := w.batches(lines); got != "1 1+3" {
			t.Errorf("the cloud got %q", got)
		}
	})
}

// With max_wait readings wait for others even on a free line: until the oldest has
// waited so long, or the batch is full, or half of the life of one of them is over.
// What is of another topic goes meanwhile.
func TestReadingsWaitForOthers(t *testing.T) {
	online(t, batching(batch.Rule{Form: lines, MaxMessages: 4, MaxWait: time.Minute}), func(t *testing.T, w *world) {
		begun := time.Now()
		ids := w.fill(2)
		w.end1([]string{w.append(get, 1, "other")}, outbox.Acked)
		if waited := time.Since(begun); waited > time.Second {
			t.Errorf("a message of another topic waited %v", waited)
		}
		w.end1(ids, outbox.Acked)
		if waited := time.Since(begun); waited < time.Minute || waited > time.Minute+time.Second {
			t.Errorf("they waited %v", waited)
		}
		begun = time.Now()
		w.end1(w.fill(4), outbox.Acked)
		if waited := time.Since(begun); waited > time.Second {
			t.Errorf("a full batch waited %v", waited)
		}
		begun = time.Now()
		m, err := w.queue.Append(w.Context(), outbox.Message{Topic: update, QoS: 1, Payload: []byte("9"), Priority: outbox.Normal, TTL: 20 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		w.end1([]string{m.ID}, outbox.Acked)
		if waited := time.Since(begun); waited < 10*time.Second || waited > 11*time.Second {
			t.Errorf("one that lives for 20 s waited %v", waited)
		}
		var newest string
		for i := range 30 { // replaced again and again, it must not begin to wait anew
			m, err := w.queue.Append(w.Context(), outbox.Message{Topic: update, QoS: 1, Payload: fmt.Append(nil, 100+i), Priority: outbox.Normal, Latest: true})
			if err != nil {
				t.Fatal(err)
			}
			newest = m.ID
			time.Sleep(7 * time.Second)
		}
		w.end1([]string{newest}, outbox.Acked)
		if got, want := w.batches(lines), "other 1+2 1+2+3+4 9 108"; !strings.HasPrefix(got, want) {
			t.Errorf("the cloud got %q, want %q first", got, want)
		}
	})
}

// The form is judged when a message is published, in words that say what to do.
func TestWhatCannotTravelIsRefusedAtTheDoor(t *testing.T) {
	text := air.Capabilities{MaxPayload: 1360} // no data phase, no hexadecimal
	binary := air.Best()
	deflated := batch.Form{Envelope: batch.NDJSON, Compress: batch.Deflate}
	in64 := batch.Form{Envelope: batch.NDJSON, Compress: batch.Deflate, Encoding: batch.Base64}
	for _, c := range []struct {
		name    string
		caps    air.Capabilities
		rule    batch.Rule
		payload string
		words   string // none: it is taken
	}{
		{"a reading", text, batch.Rule{Form: lines}, `{"a":1}`, ""},
		{"no JSON", binary, batch.Rule{Form: lines}, "hello", "not JSON"},
		{"two lines", binary, batch.Rule{Form: lines}, "[1,\n2]", "line break at offset 3"},
		{"two lines in an array", binary, batch.Rule{Form: batch.Form{Envelope: batch.JSONArray}}, "[1,\n2]", ""},
		{"binary behind a length", binary, batch.Rule{Form: batch.Form{Envelope: batch.LengthPrefixed}}, "\x00\x01", ""},
		{"a length on a module of text", text, batch.Rule{Form: batch.Form{Envelope: batch.LengthPrefixed}}, "text", `encoding = "base64"`},
		{"deflate on a module of text", text, batch.Rule{Form: deflated}, `{"a":1}`, `encoding = "base64"`},
		{"deflate as text", text, batch.Rule{Form: in64}, `{"a":1}`, ""},
		{"deflate", binary, batch.Rule{Form: deflated}, `{"a":1}`, ""},
		{"more than the module carries", text, batch.Rule{Form: lines}, `"` + strings.Repeat("x", 1400) + `"`, "alone in its ndjson envelope"},
		{"what fits when it is compressed", text, batch.Rule{Form: in64}, `"` + strings.Repeat("x", 1400) + `"`, ""},
		{"more than the rule allows", binary, batch.Rule{Form: lines, MaxBytes: 100}, `"` + strings.Repeat("x", 200) + `"`, "203 bytes, and its [[batch]] rule allows 100"},
		{"a tab on a module of text", text, batch.Rule{Form: batch.Form{Envelope: batch.JSONArray}}, "[1,\t2]", "offset 3"},
	} {
		w := newWorld(t, setup{})
		limits := w.options.Limits
		limits.Remember(c.caps)
		c.rule.Topic, c.rule.MaxMessages = update, 10
		limits.Batch(func(string) batch.Rules { return batch.Rules{c.rule} })
		err := limits.Check(update, []byte(c.payload))
		if (err == nil) != (c.words == "") || err != nil && !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %q", c.name, err, c.words)
		}
		if err := limits.Check(get, []byte("anything")); err != nil {
			t.Errorf("%s: another topic: %v", c.name, err)
		}
		w.stopModule()
		<-w.moduleDone
	}
}
