package air

import (
	"fmt"
	"slices"
	"testing"
)

// The answer to HTTPREAD is cut by its own count, whatever is in it, with every
// line end the header has been seen with; a header that is none is a line.
func TestHTTPReadIsCutByItsOwnCount(t *testing.T) {
	const reply = `{"code":200,"data":{"iotId":"PbUqGh2URAj1AtNyyd7X00107ceb00","iotToken":"425656f625b64560a4bff2a0f16946a3"},"message":"success"}`
	body := func(s string) string { return fmt.Sprintf("body %q <nil>", s) }
	for name, c := range map[string]struct {
		wire string
		want []string
	}{
		"vendor quick guide": {"\r\n+HTTPREAD: 128\r\n" + reply + "\r\nOK\r\n", []string{body(reply), `line "OK"`}},
		"no blank, LF":       {"+HTTPREAD:2\nab\nOK\n", []string{body("ab"), `line "OK"`}},
		"CR only":            {"+HTTPREAD: 2\rab\rOK\r", []string{body("ab"), `line "OK"`}},
		"empty":              {"+HTTPREAD: 0\r\n\r\nOK\r\n", []string{body(""), `line "OK"`}},
		"lines in it":        {"+HTTPREAD: 12\r\na\r\nOK\r\n+X: 1\r\nOK\r\n", []string{body("a\r\nOK\r\n+X: 1"), `line "OK"`}},
		"begins with LF":     {"+HTTPREAD: 3\r\n\nab\r\nOK\r\n", []string{body("\nab"), `line "OK"`}},
		"no count":           {"+HTTPREAD: \r\nOK\r\n", []string{`line "+HTTPREAD: "`, `line "OK"`}},
		"negative":           {"+HTTPREAD: -1\r\nOK\r\n", []string{`line "+HTTPREAD: -1"`, `line "OK"`}},
		"too large":          {"+HTTPREAD: 65537\r\nOK\r\n", []string{`line "+HTTPREAD: 65537"`, `line "OK"`}},
		"20 digits":          {"+HTTPREAD: 12345678901234567890\r\nOK\r\n", []string{`line "+HTTPREAD: 12345678901234567890"`, `line "OK"`}},
		"not a number":       {"+HTTPREAD: 1,2\r\nOK\r\n", []string{`line "+HTTPREAD: 1,2"`, `line "OK"`}},
	} {
		wire := []byte(c.wire)
		for split := range len(wire) {
			if got := cut(wire, false, split, len(wire)); !slices.Equal(got, c.want) {
				t.Errorf("%s, split at %d: got %q, want %q", name, split, got, c.want)
				break
			}
		}
		if got := cut(wire, false, 1); !slices.Equal(got, c.want) {
			t.Errorf("%s, byte by byte: got %q, want %q", name, got, c.want)
		}
	}
}
