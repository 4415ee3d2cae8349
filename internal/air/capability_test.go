package air

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// Which form a payload takes on which kind of module, and what is refused.
func TestForm(t *testing.T) {
	var (
		plain = Capabilities{MaxPayload: 1360}
		ex    = Capabilities{MaxPayload: 4100, MPUBEX: true, Hex: true}
		hex   = Capabilities{MaxPayload: 1360, Hex: true}

		assumed   = Capabilities{MaxPayload: 1360, Assumed: true}
		assumedEx = Capabilities{MaxPayload: 1360, Assumed: true, MPUBEX: true}
	)
	x := func(n int) string { return strings.Repeat("x", n) }
	quotes := func(n int) string { return strings.Repeat(`"`, n) }
	for _, c := range []struct {
		name    string
		caps    Capabilities
		payload string
		want    form
		err     PayloadError // zero: none
	}{
		{"empty is a message", plain, "", escaped, PayloadError{}},
		{"empty with MPUBEX, which takes no length 0", ex, "", escaped, PayloadError{}},
		{"empty in hex", hex, "", inHex, PayloadError{}},
		{"text", plain, "test1", escaped, PayloadError{}},
		{"text with MPUBEX", ex, "test1", escaped, PayloadError{}},
		{"text in a hex session", hex, "test1", inHex, PayloadError{}},
		{"JSON, CR and LF need no more than the escapes", ex, "{\"a\":1}\r\n", escaped, PayloadError{}},
		{"a backslash goes raw where it can", ex, `a\b`, raw, PayloadError{}},
		{"a backslash is escaped where it cannot", plain, `a\b`, escaped, PayloadError{}},
		{"UTF-8 goes raw where it can", ex, "25°C", raw, PayloadError{}},
		{"UTF-8 goes in the quotes where it cannot", plain, "25°C", escaped, PayloadError{}},
		{"NUL by MPUBEX", ex, "a\x00", raw, PayloadError{}},
		{"NUL in hex", hex, "a\x00", inHex, PayloadError{}},
		{"NUL refused", plain, "ab\x00\x01", 0, PayloadError{Size: 4, Offset: 2, Byte: 0}},
		{"DEL refused", plain, "\x7f", 0, PayloadError{Size: 1, Offset: 0, Byte: 0x7f}},
		{"Ctrl-Z refused", plain, "abc\x1a", 0, PayloadError{Size: 4, Offset: 3, Byte: 0x1a}},
		{"at the limit", plain, x(1360), escaped, PayloadError{}},
		{"over the limit", plain, x(1361), 0, PayloadError{TooLarge: true, Size: 1361, Limit: 1360}},
		{"the limit holds for the escaped form", plain, quotes(454), 0, PayloadError{TooLarge: true, Size: 1362, Limit: 1360}},
		{"escaped just below it", plain, quotes(453), escaped, PayloadError{}},
		{"too long escaped, raw fits", ex, quotes(1367), raw, PayloadError{}},
		{"the largest of all", ex, x(4100), escaped, PayloadError{}},
		{"raw at the limit", ex, x(4099) + "\x00", raw, PayloadError{}},
		{"raw over the limit", ex, x(4100) + "\x00", 0, PayloadError{TooLarge: true, Size: 4101, Limit: 4100}},
		{"text over the limit", ex, x(4101), 0, PayloadError{TooLarge: true, Size: 4101, Limit: 4100}},
		{"hex halves the limit", hex, x(680), inHex, PayloadError{}},
		{"over half the limit", hex, x(681), 0, PayloadError{TooLarge: true, Size: 681, Limit: 680}},
		{"no limit known: the floor", Capabilities{}, x(1361), 0, PayloadError{TooLarge: true, Size: 1361, Limit: 1360}},
		{"an override beyond what any module takes", ex.Override(9000), x(8192) + "\x00", 0, PayloadError{TooLarge: true, Size: 8193, Limit: 8192, Configured: true}},
		{"an override beyond the manual's 4100, raw", ex.Override(5120), x(5000) + "\x00", raw, PayloadError{}},
		{"an assumed limit is no limit", assumed, x(3000), escaped, PayloadError{}},
		{"up to the best there is", assumed, x(5121), 0, PayloadError{TooLarge: true, Size: 5121, Limit: 5120}},
		{"raw where escaped is over it", assumedEx, quotes(1000), raw, PayloadError{}},
		{"what was refused", assumed.Learned(3000), x(3000), 0, PayloadError{TooLarge: true, Size: 3000, Limit: 2999, Learned: true}},
		{"less than that is tried", assumed.Learned(3000), x(2999), escaped, PayloadError{}},
		{"a refusal within the limit teaches nothing", assumed.Learned(1360), x(1360), escaped, PayloadError{}},
		{"nor where the limit is known", plain.Learned(1000), x(1360), escaped, PayloadError{}},
	} {
		got, err := c.caps.form([]byte(c.payload))
		var e *PayloadError
		switch {
		case c.err == PayloadError{} && (err != nil || got != c.want):
			t.Errorf("%s: form %d, %v; want %d", c.name, got, err, c.want)
		case c.err != PayloadError{} && (!errors.As(err, &e) || *e != c.err):
			t.Errorf("%s: %+v; want %+v", c.name, err, c.err)
		}
		if check := c.caps.Check([]byte(c.payload)); (check == nil) != (err == nil) {
			t.Errorf("%s: Check says %v, form says %v", c.name, check, err)
		}
	}
}

// Whatever any module carries, the best one carries too: messages are accepted by
// its measure before any module was seen.
func FuzzBestCarriesWhatAnyModuleCarries(f *testing.F) {
	f.Add([]byte("x"), 1360, false, false)
	f.Add(bytes.Repeat([]byte{'"'}, 1000), 4100, true, true)
	f.Add([]byte{0}, 2348, false, true)
	f.Fuzz(func(t *testing.T, payload []byte, limit int, ex, hex bool) {
		c := Capabilities{MaxPayload: min(limit, bestPayload), MPUBEX: ex, Hex: hex}
		if err := c.Check(payload); err == nil {
			if err := Best().Check(payload); err != nil {
				t.Fatalf("%+v carries it, the best does not: %v", c, err)
			}
		}
	})
}

// How long a message is on the wire, and whether a refusal may be about that.
func TestWire(t *testing.T) {
	assumed := Capabilities{MaxPayload: 1360, Assumed: true}
	for _, c := range []struct {
		caps    Capabilities
		payload string
		size    int
		over    bool
	}{
		{assumed, strings.Repeat("x", 1360), 1360, false},
		{assumed, strings.Repeat("x", 1361), 1361, true},
		{assumed, strings.Repeat(`"`, 454), 1362, true},
		{Capabilities{MaxPayload: 1360, Assumed: true, Hex: true}, strings.Repeat("x", 681), 1362, true},
		{Capabilities{MaxPayload: 1360, Assumed: true, MPUBEX: true}, strings.Repeat(`"`, 454), 454, false},
		{Capabilities{MaxPayload: 4100}, strings.Repeat("x", 4000), 4000, false},
		{assumed, "\x00", 0, false},
	} {
		if size, over := c.caps.Wire([]byte(c.payload)); size != c.size || over != c.over {
			t.Errorf("%+v, %d bytes: %d, %v", c.caps, len(c.payload), size, over)
		}
	}
}

func TestCheckTopic(t *testing.T) {
	for topic, want := range map[string]PayloadError{
		"/a/b":                   {},
		"温度":                     {},
		"a,b c":                  {},
		"":                       {Topic: true},
		strings.Repeat("x", 256): {},
		strings.Repeat("x", 257): {Topic: true, TooLarge: true, Size: 257, Limit: 256},
		`a"`:                     {Topic: true, Size: 2, Offset: 1, Byte: '"'},
		"a\r":                    {Topic: true, Size: 2, Offset: 1, Byte: '\r'},
		`\22`:                    {Topic: true, Size: 3, Offset: 0, Byte: '\\'},
	} {
		err := CheckTopic(topic)
		var e *PayloadError
		if (want == PayloadError{}) != (err == nil) || errors.As(err, &e) && *e != want {
			t.Errorf("%q: %+v, want %+v", topic, err, want)
		}
	}
}

// The text ends up in a problem document: it must say what, where and how much.
func TestPayloadErrorText(t *testing.T) {
	for want, e := range map[string]PayloadError{
		"the payload takes 1361 bytes on the wire, the module takes 1360 (modem.max_payload sets another limit)": {TooLarge: true, Size: 1361, Limit: 1360},
		"the payload takes 1361 bytes on the wire, modem.max_payload is 1360":                                    {TooLarge: true, Size: 1361, Limit: 1360, Configured: true},
		"the payload takes 3001 bytes on the wire, AirM2M_X was found to refuse more than 3000 (modem.max_payload sets another limit)": {
			TooLarge: true, Size: 3001, Limit: 3000, Firmware: "AirM2M_X", Learned: true,
		},
		"the module cannot carry byte 0x00 of the payload at offset 7": {Size: 9, Offset: 7},
		"the topic is empty": {Topic: true},
		"the module cannot carry byte 0x22 of the topic at offset 0":   {Topic: true, Size: 1, Byte: '"'},
		"the topic takes 300 bytes on the wire, the module takes 256":  {Topic: true, TooLarge: true, Size: 300, Limit: 256},
		"the module cannot carry byte 0x1A of the payload at offset 0": {Size: 1, Byte: 0x1a},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// Capabilities are stored between runs: the field names are a file format.
func TestCapabilitiesAsJSON(t *testing.T) {
	c := Capabilities{Firmware: "AirM2M_780E_V1161_LTE_AT", Model: "Air780E", MaxPayload: 4100, MPUBEX: true}
	data, err := json.Marshal(c)
	const want = `{"firmware":"AirM2M_780E_V1161_LTE_AT","model":"Air780E","max_payload":4100,"mpubex":true,"hex":false}`
	if err != nil || string(data) != want {
		t.Errorf("got %s, %v", data, err)
	}
	var back Capabilities
	if err := json.Unmarshal(data, &back); err != nil || back != c {
		t.Errorf("read back %+v, %v", back, err)
	}
	c.Assumed = true
	if data, _ = json.Marshal(c); !strings.HasSuffix(string(data), `"max_payload":4100,"assumed":true,"mpubex":true,"hex":false}`) {
		t.Errorf("got %s", data)
	}
}
