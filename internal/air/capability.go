package air

// Largest payloads, in bytes. Whether the vendor counts escaped or decoded bytes
// is not said anywhere, so the longer, escaped form is measured.
const (
	// maxPayload: EC618 and EC718 (AT manual since 1.2.6, MPUB and MPUBEX).
	maxPayload = 4100
	// air724Payload: Air72x on UIS8910 from V301826 on (its change log; an older
	// entry says 2384).
	air724Payload = 2348
	// floorPayload is the smallest number in any vendor document (FAQ, MQTT).
	floorPayload = 1360
)

// Capabilities is what a module can carry. It may be stored, so that messages
// are checked while the module is away too.
type Capabilities struct {
	Firmware string `json:"firmware"`
	Model    string `json:"model"`
	// MaxPayload is the longest payload on the wire, in bytes; 0: the safe floor.
	MaxPayload int `json:"max_payload"`
	// MPUBEX: the firmware takes a payload of any bytes behind a prompt.
	MPUBEX bool `json:"mpubex"`
	// Hex: the firmware has MQTTMODE, so payloads can go in hexadecimal.
	Hex bool `json:"hex"`
}

// Best returns what the best module carries: the measure for messages that are
// accepted before any module was identified.
func Best() Capabilities {
	return Capabilities{MaxPayload: maxPayload, MPUBEX: true, Hex: true}
}

// Override returns c with another payload limit, in bytes; 0 keeps it.
func (c Capabilities) Override(limit int) Capabilities {
	if limit > 0 {
		c.MaxPayload = limit
	}
	return c
}

// Check returns a [*PayloadError] if the module cannot carry a payload.
func (c Capabilities) Check(payload []byte) error {
	_, err := c.form(payload)
	return err
}

// CheckTopic returns a [*PayloadError] if no module can carry a topic: AT
// commands have no escape for quotes, backslashes and control bytes in it, and
// take 256 bytes (AT manual 1.6.3, MPUB).
func CheckTopic(topic string) error {
	switch i := unquotable(topic); {
	case topic == "":
		return &PayloadError{Topic: true}
	case len(topic) > maxTopic:
		return &PayloadError{Topic: true, TooLarge: true, Size: len(topic), Limit: maxTopic}
	case i >= 0:
		return &PayloadError{Topic: true, Size: len(topic), Offset: i, Byte: topic[i]}
	}
	return nil
}

// form is how a payload goes over the wire.
type form uint8

const (
	escaped form = iota + 1 // MPUB with the four escapes
	raw                     // MPUBEX, behind a prompt
	inHex                   // MPUB while MQTTMODE is 1
)

// hexSession says whether the session runs with MQTTMODE=1. The mode holds for
// all messages, so it is chosen only where nothing better carries all bytes.
func (c Capabilities) hexSession() bool { return c.Hex && !c.MPUBEX }

func (c Capabilities) limit() int {
	if c.MaxPayload <= 0 {
		return floorPayload
	}
	return c.MaxPayload
}

// form picks the wire form of a payload, or says why there is none.
func (c Capabilities) form(payload []byte) (form, error) {
	limit := c.limit()
	if c.hexSession() {
		if 2*len(payload) > limit {
			return 0, &PayloadError{TooLarge: true, Size: len(payload), Limit: limit / 2}
		}
		return inHex, nil
	}
	m := measure(payload)
	if c.MPUBEX && (m.refused >= 0 || m.risky || m.escaped > limit) {
		if len(payload) > min(limit, maxPayload) {
			return 0, &PayloadError{TooLarge: true, Size: len(payload), Limit: min(limit, maxPayload)}
		}
		return raw, nil
	}
	if m.refused >= 0 {
		return 0, &PayloadError{Size: len(payload), Offset: m.refused, Byte: payload[m.refused]}
	}
	if m.escaped > limit {
		return 0, &PayloadError{TooLarge: true, Size: m.escaped, Limit: limit}
	}
	return escaped, nil
}

// measured is what the choice of a wire form depends on.
type measured struct {
	escaped int  // length in MPUB's form
	refused int  // offset of the first byte that MPUB cannot carry, or -1
	risky   bool // backslashes, whose escape old manuals lack, or bytes from 0x80 up, of which none speaks
}

func measure(payload []byte) measured {
	m := measured{refused: -1}
	for i, c := range payload {
		m.escaped++
		switch {
		case escapeCode(c) != "":
			m.escaped += 2
			m.risky = m.risky || c == '\\'
		case control(c):
			if m.refused < 0 {
				m.refused = i
			}
		case c >= 0x80:
			m.risky = true
		}
	}
	return m
}
