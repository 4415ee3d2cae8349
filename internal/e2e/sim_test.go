package e2e

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"airbridged/client"
)

// entry is a line of the simulator's transcript: > a command, >> data, < a line
// from the module, ! a note.
type entry struct {
	At   time.Time `json:"at"`
	Dir  string    `json:"dir"`
	Text string    `json:"text"`
}

func (s *simulator) transcript(t testing.TB) []entry {
	t.Helper()
	body, err := s.get("/v1/transcript")
	if err != nil {
		t.Fatal(err)
	}
	var list []entry
	for line := range strings.Lines(string(body)) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		list = append(list, e)
	}
	return list
}

// commands are the AT commands that the module was given.
func (s *simulator) commands(t testing.TB) []string {
	t.Helper()
	var list []string
	for _, e := range s.transcript(t) {
		if e.Dir == ">" {
			list = append(list, e.Text)
		}
	}
	return list
}

func asProblem(err error, p **client.Problem) bool { return errors.As(err, p) }
