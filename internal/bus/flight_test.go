package bus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// texts is what a recorder holds, checked for holes.
func texts(t *testing.T, f *Flight) []string {
	t.Helper()
	var list []string
	var seq uint64
	for {
		page, _, more := f.After(seq, 100)
		for _, e := range page {
			if seq != 0 && e.Seq != seq+1 {
				t.Fatalf("entry %d follows entry %d", e.Seq, seq)
			}
			seq = e.Seq
			list = append(list, e.Text)
		}
		select {
		case <-more:
		default:
			return list
		}
	}
}

// The recorder holds the newest traffic, whole, at both of its bounds.
func TestFlightOverwritesTheOldest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		length int
		want   int // entries that are left
	}{
		{"bound by entries", 10, flightEntries},
		{"bound by bytes", 100, flightBytes / 100},
		{"one fills it", flightBytes, 1},
		{"one is more than it holds", flightBytes + 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := NewFlight()
			const all = 5000
			for n := range all {
				text := fmt.Sprintf("%06d", n)
				f.Add(Sent, []byte(text+strings.Repeat("x", c.length-len(text))), c.length)
			}
			got := texts(t, f)
			if len(got) != c.want || f.Last() != all {
				t.Fatalf("%d entries are left, want %d; the last is %d", len(got), c.want, f.Last())
			}
			for i, text := range got {
				if want := fmt.Sprintf("%06d", all-len(got)+i); text[:6] != want || len(text) != min(c.length, flightBytes) {
					t.Fatalf("entry %d begins with %q and has %d bytes, want %s", i, text[:6], len(text), want)
				}
			}
			if page, missed, _ := f.After(1, 1); len(page) != 1 || missed != page[0].Seq-2 {
				t.Errorf("%d missed before entry %d", missed, page[0].Seq)
			}
		})
	}
}

// A reader that follows is woken by what comes and is never in the way of it.
func TestFlightWakesItsFollowers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := NewFlight()
		var readers sync.WaitGroup
		for range 3 {
			readers.Go(func() {
				var seq uint64
				for seq < 10 {
					page, _, more := f.After(seq, 4)
					for _, e := range page {
						seq = e.Seq
					}
					<-more
				}
			})
		}
		for range 11 { // the last one wakes those that wait behind the tenth
			time.Sleep(time.Second)
			f.Note("tick")
		}
		readers.Wait()
		page, _, _ := f.After(0, 100)
		if page[4].Elapsed != 5*time.Second || page[4].Dir != Noted {
			t.Errorf("%+v", page[4])
		}
	})
}

func TestFlightLineIsGolden(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 8, 0, 0, 5e6, time.FixedZone("", 3600))
	b, err := json.Marshal(Traffic{Seq: 7, At: at, Elapsed: 12300 * time.Millisecond, Dir: Sent, Text: "AT+CSQ", Bytes: 6}.Line())
	want := `{"type":"traffic","seq":7,"at":"2026-11-22T07:00:00.005Z","elapsed_seconds":12.3,"dir":"tx","text":"AT+CSQ","bytes":6}`
	if err != nil || string(b) != want {
		t.Errorf("got %s, %v", b, err)
	}
}

// Recording must not allocate: it stands in the way of every line.
func TestFlightDoesNotAllocate(t *testing.T) {
	f, text := NewFlight(), bytes.Repeat([]byte("x"), 40)
	if n := testing.AllocsPerRun(1000, func() { f.Add(Received, text, 40) }); n != 0 {
		t.Errorf("%v allocations for one entry", n)
	}
}
