package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// count is a number and what it is of, as in "1 message".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// size is a number of bytes for people: exact below 10 KiB.
func size(n int64) string {
	switch {
	case n < 10<<10:
		return count(int(n), "byte")
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// signalWords says what a level means. -113 dBm is the least that AT+CSQ can
// tell (3GPP TS 27.007 section 8.5). "fair" is what the vendor calls marginal (AT+CSQ 11
// to 17), and below it doctor warns. The page has the same words.
func signalWords(dbm *int) (words string, s style) {
	if dbm == nil {
		return "unknown", plain
	}
	word, s := "none", bad
	switch d := *dbm; {
	case d >= -70:
		word, s = "excellent", good
	case d >= -77:
		word, s = "good", good
	case d >= -91:
		word, s = "fair", plain
	case d > -113:
		word, s = "weak", minor
	}
	return word + " (" + strconv.Itoa(*dbm) + " dBm)", s
}

// ago is a moment in local time and how long that is past, or to come.
func ago(t *time.Time, now time.Time) string {
	if t == nil || t.IsZero() {
		return "unknown"
	}
	at := t.Local().Format(time.DateTime)
	if d := now.Sub(*t); d < 0 {
		return at + ", in " + span(-d)
	}
	return at + ", " + span(now.Sub(*t)) + " ago"
}

// span is a duration with its two largest units, as in "3 h 12 min".
func span(d time.Duration) string {
	days, hours, minutes, seconds := units(d)
	switch {
	case days > 0:
		return fmt.Sprintf("%s %d h", count(days, "day"), hours)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%d min %d s", minutes, seconds)
	}
	return fmt.Sprintf("%d s", seconds)
}

// brief is span for the cell of a table, as in "3h12m".
func brief(d time.Duration) string {
	days, hours, minutes, seconds := units(d)
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, hours)
	case hours > 0:
		return fmt.Sprintf("%dh%dm", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%dm%ds", minutes, seconds)
	}
	return fmt.Sprintf("%ds", seconds)
}

func units(d time.Duration) (days, hours, minutes, seconds int) {
	d = d.Round(time.Second)
	return int(d.Hours()) / 24, int(d.Hours()) % 24, int(d.Minutes()) % 60, int(d.Seconds()) % 60
}

func text(s *string) string {
	if s == nil {
		return "unknown"
	}
	return orUnknown(*s)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return printable(s)
}

// printable keeps what came from the module or the cloud from steering the
// terminal.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// wrap breaks text at its blanks into lines of at most width columns; a word
// that is longer is cut. Columns are counted as runes.
func wrap(text string, width int) []string {
	width = max(width, 1)
	var lines []string
	line := []rune{}
	for _, field := range strings.Fields(text) {
		word := []rune(field)
		if len(line) > 0 && len(line)+1+len(word) > width {
			lines, line = append(lines, string(line)), nil
		}
		if len(line) > 0 {
			line = append(line, ' ')
		}
		line = append(line, word...)
		for len(line) > width {
			lines, line = append(lines, string(line[:width])), line[width:]
		}
	}
	return append(lines, string(line))
}
