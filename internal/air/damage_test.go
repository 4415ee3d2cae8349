package air

import "testing"

// What real modules print and this package does not know (vendor logs), and what is
// left of a message whose header was damaged.
func TestDamageIsToldFromAStrangersURC(t *testing.T) {
	for line, urc := range map[string]bool{
		"SRING: 1": true, "*CSQ: 18,99": true, "+CIEV: \"service\",1": true, "+CTTS:0": true, "+UGNSINF: 1,1,20": true, "$GNRMC,083000.00,A,2232.1,N*6A": true,
		"UNDER-VOLTAGE WARNNING": true, "TCP CLOSED": true, "^SRVST: 1": true, "+MQTTSTATU :1": true,

		"": false, "hello": false, `{"a":1}`: false, "21.5": false, "x": false, "+": false, ">": false, "a PUBACK": false, "PUBACK\x00": false, "\xff\xfe": false,
		`+MSEB: "/k/d/get",5 byte,hello`: false, `: "/k/d/get",5 byte,hello`: false, `/d/get",5 byte,hello`: false, "5 byte,HELLO": false, "yte,HELLO": false, "+M": false,
		"+MPUBACK": false, "+M,": false, "+MCUB: ,": false, "UB: x": false, ",5,HELLO": false, "MSUB: x": false, "SMS ready?": false,
		"+M32:": false, "+MODE: 1": false, "+CGEV:": false, "+M :1": false, // "+M", and of the payload what was not lost
	} {
		if got := looksLikeURC([]byte(line)); got != urc {
			t.Errorf("%q: %v", line, got)
		}
	}
}

// While messages can come, a banner in the middle of a line may be a payload; before
// that, what stands before it is noise.
func TestABannerBehindSomethingElse(t *testing.T) {
	for line, want := range map[string][2]bool{
		"RDY": {true, true}, "^boot.rom'v'!\\nRDY": {true, true}, "\xff\xfe^boot.rom'v'!\\nRDY": {true, true}, "\\nRDY": {true, true}, "'v'!\\nRDY": {true, false},
		"x^boot.rom": {true, false}, `+MSUB: "/k",9 byte,^boot.rom`: {true, false}, "PUBACK": {false, false},
	} {
		m := New(port{}, Options{})
		for i, live := range []bool{false, true} {
			m.live.Store(live)
			if got := m.restarts([]byte(line)); got != want[i] {
				t.Errorf("%q, live %v: %v", line, live, got)
			}
		}
	}
}
