package atengine

import "bytes"

// longestFinal bounds a final result line that is looked for, in bytes; the
// texts of CMEE=2 are shorter.
const longestFinal = 80

// cutsFinal says whether a full block, buf[:n], ends in the middle of a final
// result: "\r\nO" and then "K\r\n", or "\r\nOK\r" and then "\n". A count can be
// too large because bytes were lost on the line, and then the block fills with
// what came next. Such a block lies. One that ends exactly before the line's
// end does not: a payload may end in OK. NeedMore: the next bytes tell.
func cutsFinal(buf []byte, n int) Verdict {
	body, ended := bytes.CutSuffix(buf[:n], carriageReturn)
	start := bytes.LastIndexAny(body, "\r\n") + 1
	if start == 0 || start == len(body) {
		return NoMatch // the header's own line, or a line start
	}
	if ended {
		if _, _, is := final(body[start:]); !is {
			return NoMatch
		}
		return verdict(len(buf) > n, len(buf) > n && buf[n] == '\n')
	}
	line := buf[start:min(len(buf), start+longestFinal)]
	end := lineEnd(line)
	if end < 0 {
		return verdict(len(line) == longestFinal || !beginsFinal(line), false)
	}
	_, _, is := final(line[:end])
	return verdict(true, is && start+end > n)
}

func verdict(known, yes bool) Verdict {
	switch {
	case !known:
		return NeedMore
	case yes:
		return Match
	}
	return NoMatch
}

// beginsFinal says whether more bytes could make b a final result.
func beginsFinal(b []byte) bool {
	for _, word := range [...][]byte{wordOK, wordError} {
		if bytes.HasPrefix(word, b) {
			return true
		}
	}
	for _, prefix := range errorPrefixes {
		if bytes.HasPrefix(prefix, b) || bytes.HasPrefix(b, prefix) {
			return true
		}
	}
	return false
}
