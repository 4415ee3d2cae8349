package air

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// unescape is what the module does to the text between MPUB's quotes, written
// from the manual and not from escape.go: a backslash and two hexadecimal digits
// are one byte, and only the four documented codes exist.
func unescape(wire []byte) ([]byte, error) {
	codes := map[string]byte{"5C": 0x5C, "22": 0x22, "0D": 0x0D, "0A": 0x0A}
	var out []byte
	for i := 0; i < len(wire); i++ {
		switch c := wire[i]; {
		case c == '"':
			return nil, fmt.Errorf("a quote at %d ends the argument", i)
		case c < 0x20 || c == 0x7f:
			return nil, fmt.Errorf("control byte %#x at %d", c, i)
		case c != '\\':
			out = append(out, c)
		default:
			if i+2 >= len(wire) {
				return nil, fmt.Errorf("escape cut off at %d", i)
			}
			b, ok := codes[string(wire[i+1:i+3])]
			if !ok {
				return nil, fmt.Errorf("undocumented escape %q", wire[i:i+3])
			}
			out = append(out, b)
			i += 2
		}
	}
	return out, nil
}

func TestEscape(t *testing.T) {
	for payload, want := range map[string]string{
		"":                       "",
		"test1":                  "test1",
		`{"id":"123"}`:           `{\22id\22:\22123\22}`,
		"a\r\nb":                 `a\0D\0Ab`,
		`\`:                      `\5C`,
		`\22`:                    `\5C22`, // a payload that looks like an escape stays what it is
		"温度":                     "温度",
		"\x80\xff":               "\x80\xff",
		"AT+CFUN=0\r":            `AT+CFUN=0\0D`,
		"x\",1,0,\"y":            `x\22,1,0,\22y`,
		strings.Repeat(`"`, 100): strings.Repeat(`\22`, 100),
	} {
		got, err := escape([]byte(payload))
		if err != nil || string(got) != want {
			t.Errorf("escape(%q) = %q, %v; want %q", payload, got, err, want)
		}
	}
}

// Every single byte either comes back from the module as it was, or is refused
// with its offset.
func TestEscapeEveryByte(t *testing.T) {
	for c := range 256 {
		payload := []byte{'a', byte(c), 'b'}
		wire, err := escape(payload)
		refused := c < 0x20 && c != '\r' && c != '\n' || c == 0x7f
		if refused {
			var e *PayloadError
			if !errors.As(err, &e) || e.Offset != 1 || e.Byte != byte(c) || e.TooLarge || e.Topic {
				t.Errorf("byte %#x: %v", c, err)
			}
			continue
		}
		back, decodeErr := unescape(wire)
		if err != nil || decodeErr != nil || !bytes.Equal(back, payload) {
			t.Errorf("byte %#x: %q, %v, %v", c, wire, err, decodeErr)
		}
	}
}

func TestHexadecimal(t *testing.T) {
	if got := hexadecimal([]byte("123\x00\xfe")); string(got) != "31323300FE" {
		t.Errorf("got %q", got)
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", `{"a":"\\22"}`, "\r\nOK\r\n", "\x00", "\x7f", "\x1a", "+MSUB: \"x\",3 byte,abc", "\xff\xfe", `\5C\22`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		wire, err := escape(payload)
		m := measure(payload)
		if err != nil {
			var e *PayloadError
			if !errors.As(err, &e) || !control(payload[e.Offset]) || payload[e.Offset] != e.Byte || m.refused != e.Offset {
				t.Fatalf("refused %q with %v, measured %+v", payload, err, m)
			}
			return
		}
		back, err := unescape(wire)
		if err != nil || !bytes.Equal(back, payload) {
			t.Fatalf("%q became %q became %q, %v", payload, wire, back, err)
		}
		if m.escaped != len(wire) || m.refused >= 0 {
			t.Fatalf("measured %+v, escaped to %d bytes", m, len(wire))
		}
	})
}
