package config

import (
	"fmt"
	"slices"
	"strings"

	"airbridged/internal/typo"
)

// nearestKeys returns the keys that an unknown one was probably meant to be:
// the best matches of its last part anywhere, or of its own section alone if
// there are any. A word of a longer key counts as one slip. At most three.
func nearestKeys(name string) []string {
	section, word := sectionOf(name), lastPart(name)
	least := typo.Slips(word) + 1
	var found []string
	for _, k := range keys {
		d := typo.Within(word, lastPart(k.name), least+1)
		if len(word) >= 3 && strings.Contains("_"+lastPart(k.name)+"_", "_"+typo.Normal(word)+"_") {
			d = min(d, 1)
		}
		switch {
		case d < least:
			found, least = []string{k.name}, d
		case d == least && d <= typo.Slips(word):
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
	if strings.Contains(typo.Normal(lastPart(name)), "secret") || strings.Contains(typo.Normal(lastPart(name)), "password") {
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
