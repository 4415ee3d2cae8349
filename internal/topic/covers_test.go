package topic_test

import (
	"strings"
	"testing"

	"airbridged/internal/topic"
)

// Covers against every topic of a small world: what it says yes to, holds, and of what
// it says no to, there is a topic that shows it.
func TestCovers(t *testing.T) {
	t.Parallel()
	words := func(alphabet ...string) (list []string) {
		list = append(list, alphabet...)
		for _, a := range alphabet {
			for _, b := range alphabet {
				list = append(list, a+"/"+b)
				for _, c := range alphabet {
					list = append(list, a+"/"+b+"/"+c)
				}
			}
		}
		return list
	}
	var filters []string
	for _, f := range words("a", "b", "+", "#", "$c", "") {
		if topic.CheckFilter(f) == nil {
			filters = append(filters, f)
		}
	}
	topics := words("a", "b", "z", "$c", "")
	topics = append(topics, "a/b/z/z", "z/z/z/z", "$c/z/z/z")
	known := 0
	for _, outer := range filters {
		for _, inner := range filters {
			missing := ""
			for _, name := range topics {
				if name != "" && topic.Match(inner, name) && !topic.Match(outer, name) {
					missing = name
					break
				}
			}
			switch got := topic.Covers(outer, inner); {
			case got && missing != "":
				t.Errorf("Covers(%q, %q), but %q is not", outer, inner, missing)
			case !got && missing == "":
				// "+/#" has all that "#" has; nobody writes that.
				if known++; !strings.HasSuffix(outer, "+/#") && !strings.Contains(inner, "#") {
					t.Errorf("Covers(%q, %q) is false, and no topic shows why", outer, inner)
				}
			}
		}
	}
	if known > 40 {
		t.Errorf("%d filters are refused in vain", known)
	}
}
