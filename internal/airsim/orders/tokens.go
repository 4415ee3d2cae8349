package orders

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// tokens splits a command at blanks. Double quotes keep blanks together; behind
// a backslash r, n, t, 0, xHH, a quote and the backslash itself are known inside
// them.
func tokens(s string) ([]string, error) {
	var words []string
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		if s == "" || s[0] == '#' {
			return words, nil
		}
		var w strings.Builder
		for s != "" && !strings.ContainsAny(s[:1], " \t\r\n") {
			if s[0] != '"' {
				w.WriteByte(s[0])
				s = s[1:]
				continue
			}
			rest, err := quotedToken(&w, s[1:])
			if err != nil {
				return nil, err
			}
			s = rest
		}
		words = append(words, w.String())
	}
}

func quotedToken(w *strings.Builder, s string) (rest string, err error) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return s[i+1:], nil
		case '\\':
			i++
			if i == len(s) {
				return "", errors.New("a backslash at the end of a quoted word")
			}
			if s[i] == 'x' {
				n, err := strconv.ParseUint(s[min(i+1, len(s)):min(i+3, len(s))], 16, 8)
				if err != nil {
					return "", errors.New(`\x needs two hexadecimal digits`)
				}
				w.WriteByte(byte(n))
				i += 2
				continue
			}
			at := strings.IndexByte(`rnt0"\`, s[i])
			if at < 0 {
				return "", fmt.Errorf(`\%c is not known in a quoted word`, s[i])
			}
			w.WriteByte("\r\n\t\x00\"\\"[at])
		default:
			w.WriteByte(s[i])
		}
	}
	return "", errors.New("a quoted word has no end")
}
