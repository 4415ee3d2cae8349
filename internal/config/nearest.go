package config

import (
	"fmt"
	"slices"
	"strings"
)

// nearest returns the candidate that a word was probably meant to be, or "".
func nearest(word string, candidates []string) string {
	best, least := "", slip(word)+1
	for _, c := range candidates {
		d := distance(word, c)
		if len(c) >= 4 && strings.HasPrefix(normal(word), c) {
			d = min(d, 1)
		}
		if d < least {
			best, least = c, d
		}
	}
	return best
}

// slip is how many typing slips a word of this length may hold.
func slip(word string) int { return min(3, max(1, len(word)/3)) }

// nearestKeys returns the keys that an unknown one was probably meant to be:
// the best matches of its last part anywhere, or of its own section alone if
// there are any. A word of a longer key counts as one slip. At most three.
func nearestKeys(name string) []string {
	section, word := sectionOf(name), lastPart(name)
	least := slip(word) + 1
	var found []string
	for _, k := range keys {
		d := distance(word, lastPart(k.name))
		if len(word) >= 3 && strings.Contains("_"+lastPart(k.name)+"_", "_"+normal(word)+"_") {
			d = min(d, 1)
		}
		switch {
		case d < least:
			found, least = []string{k.name}, d
		case d == least && d <= slip(word):
			found = append(found, k.name)
		}
	}
	elsewhere := func(k string) bool { return sectionOf(k) != section }
	if here := slices.DeleteFunc(slices.Clone(found), elsewhere); len(here) > 0 {
		found = here
	}
	return found[:min(3, len(found))]
}

// unknownKey says what to do about a key that does not exist.
func unknownKey(name string) string {
	near := nearestKeys(name)
	hint := ""
	if strings.Contains(normal(lastPart(name)), "secret") || strings.Contains(normal(lastPart(name)), "password") {
		hint = " (a secret stands in a file of its own with mode 0600, never here)"
	}
	if len(near) > 0 {
		return "unknown key, did you mean " + strings.Join(near, " or ") + "?" + hint
	}
	section := sectionOf(name)
	var siblings []string
	for _, k := range keys {
		if sectionOf(k.name) == section {
			siblings = append(siblings, lastPart(k.name))
		}
	}
	if len(siblings) == 0 {
		return "unknown key, delete it; the sections are " + strings.Join(sections(), ", ") + hint
	}
	return fmt.Sprintf("unknown key, delete it; %s knows %s%s", header(section), strings.Join(siblings, ", "), hint)
}

// normal makes spellings equal that people mix up.
func normal(s string) string { return strings.ToLower(strings.ReplaceAll(s, "-", "_")) }

// distance counts the slips between two words: a character too many, missing,
// replaced, or two swapped (optimal string alignment). Long words are not
// looked at: nobody meant them.
func distance(a, b string) int {
	a, b = normal(a), normal(b)
	if len(a) > 40 || len(b) > 40 {
		return 40
	}
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
