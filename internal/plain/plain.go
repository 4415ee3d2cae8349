// Package plain makes text that came from outside fit to be shown: in a log, on a
// terminal, in a status. Text of a program, of the module, of the cloud or of a file
// name may hold characters that steer a terminal (C0 and C1 controls), turn the
// reading direction around (bidi), begin a new line (U+2028 too) or show nothing.
//
// It promises that what it returns has only characters that are printed, as
// [unicode.IsPrint] has it, and that all others are still recognised: they stand
// there as escapes. It knows nothing of who shows the text.
package plain

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text is s on one line: what is not printed becomes \n, \t, \x1b, \u202e or
// \U000e0041, as in Go, and a byte that is no UTF-8 \xff. Text that is printed as it
// is comes back as it is, backslashes too.
func Text(s string) string { return escape(s, "", goEscape) }

// Lines is [Text] that may have several lines and tabs.
func Lines(s string) string { return escape(s, "\n\t", goEscape) }

// JSON escapes in a JSON text what is not printed and JSON would let pass: the text
// means the same afterwards.
func JSON(text []byte) []byte {
	if isPlain(text) {
		return text
	}
	return []byte(escape(string(text), "\n\t", jsonEscape))
}

// isPlain is the quick way for what nearly all text is.
func isPlain(text []byte) bool {
	for _, b := range text {
		if b >= 0x7f || b < ' ' && b != '\n' {
			return false
		}
	}
	return true
}

// escape replaces what is not printed, but for the characters of keep.
func escape(s, keep string, how func(*strings.Builder, rune, string)) string {
	odd := func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) && !strings.ContainsRune(keep, r) }
	first := strings.IndexFunc(s, odd)
	if first < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	b.WriteString(s[:first])
	for s = s[first:]; s != ""; {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1, r != utf8.RuneError && odd(r):
			how(&b, r, s[:size])
		default:
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}

func goEscape(b *strings.Builder, r rune, raw string) {
	switch {
	case r == '\n':
		b.WriteString(`\n`)
	case r == '\r':
		b.WriteString(`\r`)
	case r == '\t':
		b.WriteString(`\t`)
	case len(raw) == 1: // below 0x80, or no UTF-8
		fmt.Fprintf(b, `\x%02x`, raw[0])
	case r <= 0xffff:
		fmt.Fprintf(b, `\u%04x`, r)
	default:
		fmt.Fprintf(b, `\U%08x`, r)
	}
}

func jsonEscape(b *strings.Builder, r rune, raw string) {
	if r == utf8.RuneError && len(raw) == 1 {
		r = 0xfffd // JSON has nothing else for a byte that is no UTF-8
	}
	if r > 0xffff {
		high, low := utf16.EncodeRune(r)
		fmt.Fprintf(b, `\u%04x\u%04x`, high, low)
		return
	}
	fmt.Fprintf(b, `\u%04x`, r)
}
