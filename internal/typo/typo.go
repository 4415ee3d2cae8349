// Package typo finds the word that somebody meant to type: a key, an option, a
// command. It owns the measure of a slip and nothing else; what to say about one
// is its callers' business.
package typo

import "strings"

// longest is how many bytes a word may have to be looked at: nobody meant a
// longer one.
const longest = 40

// Nearest returns the candidate that a word was probably meant to be, or "". Of
// several that are as near, it is the first. A candidate of four bytes or more
// with something behind it counts as one slip, as in "baudrate" for "baud".
func Nearest(word string, candidates []string) string {
	best, least := "", Slips(word)+1
	for _, c := range candidates {
		d := Within(word, c, least)
		if len(c) >= 4 && strings.HasPrefix(Normal(word), c) {
			d = min(d, 1)
		}
		if d < least {
			best, least = c, d
		}
	}
	return best
}

// Slips is how many slips a word of this length may hold and still be told: one
// to three.
func Slips(word string) int { return min(3, max(1, len(word)/3)) }

// Normal makes spellings equal that people mix up: upper and lower case, dash
// and underscore.
func Normal(s string) string { return strings.ToLower(strings.ReplaceAll(s, "-", "_")) }

// Distance counts the slips between the normal forms of two words: a byte too
// many, missing, replaced, or two swapped (optimal string alignment). It is 40
// where either word is longer than that.
func Distance(a, b string) int { return Within(a, b, longest) }

// Within is [Distance] for those who only care for less than most, and any number
// from most on where there are as many slips: words that have nothing in common
// then cost next to nothing.
func Within(a, b string, most int) int {
	if len(a) > longest || len(b) > longest || len(a)-len(b) >= most || len(b)-len(a) >= most {
		return longest
	}
	a, b = Normal(a), Normal(b)
	if most < longest && strange(a, b) >= most {
		return longest
	}
	var rows [3][longest + 1]int
	before, row, next := rows[0][:len(b)+1], rows[1][:len(b)+1], rows[2][:len(b)+1]
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

// strange counts the bytes of one word that the other one has not, the longer way
// round: each of them is at least one slip.
func strange(a, b string) int {
	var have [256]int8
	for _, c := range []byte(a) {
		have[c]++
	}
	for _, c := range []byte(b) {
		have[c]--
	}
	more, less := 0, 0
	for _, n := range have {
		if n > 0 {
			more += int(n)
		} else {
			less -= int(n)
		}
	}
	return max(more, less)
}
