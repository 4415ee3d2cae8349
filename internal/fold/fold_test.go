package fold

import (
	"slices"
	"testing"
	"time"
)

func TestMilestones(t *testing.T) {
	t.Parallel()
	var told []int
	for n := range 1000 {
		if Milestone(n) {
			told = append(told, n)
		}
	}
	if !slices.Equal(told, []int{1, 2, 4, 16, 64, 256}) {
		t.Errorf("told are %v", told)
	}
}

// Once a second for three hours, then nothing for one, then again: every one is told
// or counted, and the last is the beginning of something new.
func TestRepeats(t *testing.T) {
	t.Parallel()
	var r Repeats
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	var when []int
	sum := 0
	for n := range 3 * 3600 {
		if folded, tell := r.Again(at.Add(time.Duration(n) * time.Second)); tell {
			when, sum = append(when, n+1), sum+folded+1
		}
	}
	if !slices.Equal(when, []int{1, 2, 4, 16, 64, 256, 1024, 4096, 7696}) || sum != 7696 {
		t.Errorf("told at %v, of %d", when, sum)
	}
	if folded, tell := r.Again(at.Add(5 * time.Hour)); !tell || folded != 3*3600-7696 {
		t.Errorf("after the quiet: %d, %v", folded, tell)
	}
	if folded, tell := r.Again(at.Add(5*time.Hour + time.Second)); !tell || folded != 0 {
		t.Errorf("the second one: %d, %v", folded, tell)
	}
}
