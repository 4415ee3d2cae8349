package topic

import "strings"

// Overlap says whether there is a topic that falls under both filters (see [Match]),
// both taken as valid.
func Overlap(a, b string) bool {
	wild := func(filter string) bool { return strings.HasPrefix(filter, "+") || strings.HasPrefix(filter, "#") }
	if strings.HasPrefix(a, "$") && wild(b) || strings.HasPrefix(b, "$") && wild(a) {
		return false
	}
	for {
		levelA, restA, moreA := strings.Cut(a, "/")
		levelB, restB, moreB := strings.Cut(b, "/")
		if levelA == "#" || levelB == "#" {
			return true
		}
		if levelA != levelB && levelA != "+" && levelB != "+" {
			return false
		}
		switch {
		case !moreA && !moreB:
			return true
		case !moreA:
			return restB == "#" // "sport/#" also matches "sport"
		case !moreB:
			return restA == "#"
		}
		a, b = restA, restB
	}
}
