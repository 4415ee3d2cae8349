package recovery

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// A column left out does not compile; one that says nothing is found here.
func TestRowsAreWhole(t *testing.T) {
	t.Parallel()
	for word, r := range rows {
		if r.hint == "" || len(r.ladder) == 0 || r.pace == nil || r.usual == "" || r.doc.Meaning == "" || r.doc.FirstLook == "" || r.doc.Cure == "" {
			t.Errorf("the row of %s is not whole: %+v", word, r)
		}
		if strings.ContainsAny(r.hint+r.doc.Meaning+r.doc.FirstLook+r.doc.Cure, "|\n") {
			t.Errorf("the words of %s do not fit into a table", word)
		}
	}
	if len(causes) != len(rows) {
		t.Errorf("%d rows for %d words: one stands twice", len(causes), len(rows))
	}
}

// What the cloud refuses is about the identity where it was asked for one, and about
// the login otherwise; a newer daemon's word is about MQTT.
func TestStageDependsOnWhatWasAsked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cause  Cause
		failed State
		want   Stage
	}{
		{SignatureRefused, Registering, AtIdentity},
		{SignatureRefused, Authenticating, AtLogin},
		{SignatureRefused, "", AtLogin},
		{HTTPFailed, Registering, AtIdentity},
		{PortBusy, Registering, AtPort},
		{"a-word-of-the-future", "", AtMQTT},
		{None, Registering, ""},
	} {
		if got := c.cause.Stage(c.failed); got != c.want {
			t.Errorf("%q after %q is about %q, want %q", c.cause, c.failed, got, c.want)
		}
	}
}

// "what to do" stands before every hint: one that only tells what is wrong, or that the
// daemon is at it, leaves a person waiting for the rest of the sentence.
func TestEveryHintSaysWhatToDo(t *testing.T) {
	t.Parallel()
	does := regexp.MustCompile(`\b(wait|check|is the|is it|stop|find|switch|flash|restore|copy|free|publish less|look|airbridgectl|ask|give|set|unlock|put|it is opened anew|not, or not any more)\b`)
	for _, c := range Causes() {
		if !does.MatchString(c.Hint()) {
			t.Errorf("%s: %s", c, c.Hint())
		}
	}
}

// Seen: "http-failed: http-failed: https request failed".
func TestCauseIsToldOnce(t *testing.T) {
	t.Parallel()
	inner := &Failure{Cause: HTTPFailed, Err: errors.New("no answer")}
	if got := (&Failure{Cause: HTTPFailed, Hint: "look", Err: inner}).Error(); got != "http-failed: no answer" {
		t.Error(got)
	}
	if got := (&Failure{Cause: Closed, Err: inner}).Error(); got != "closed: http-failed: no answer" {
		t.Error(got)
	}
}
