package air

// Capabilities is what a module can carry. It may be stored, so that messages
// are checked while the module is away too.
type Capabilities struct {
	Firmware string `json:"firmware"`
	Model    string `json:"model"`
	// MaxPayload is the longest payload on the wire, in bytes; 0: the safe floor.
	MaxPayload int `json:"max_payload"`
	// Assumed: nobody says that MaxPayload is the limit. A longer one is tried, up to
	// the best that any module takes, or to what this one was found to refuse.
	Assumed bool `json:"assumed,omitempty"`
	// Refused is the shortest payload on the wire that the module was found to refuse;
	// 0: none was.
	Refused int `json:"-"`
	// Configured: MaxPayload is modem.max_payload.
	Configured bool `json:"-"`
	// MPUBEX: the firmware takes a payload of any bytes behind a prompt.
	MPUBEX bool `json:"mpubex"`
	// Hex: the firmware has MQTTMODE, so payloads can go in hexadecimal.
	Hex bool `json:"hex"`
}

// Best returns what the best module carries: the measure for messages that are
// accepted before any module was identified.
func Best() Capabilities {
	return Capabilities{MaxPayload: bestPayload, MPUBEX: true, Hex: true}
}

// Override returns c with another payload limit, in bytes; 0 keeps it.
func (c Capabilities) Override(limit int) Capabilities {
	if limit > 0 {
		c.MaxPayload, c.Assumed, c.Refused, c.Configured = limit, false, 0, true
	}
	return c
}

// Learned returns c with a payload that the module was found to refuse, in bytes on
// the wire. It changes nothing where the limit is known, or is not less than that.
func (c Capabilities) Learned(refused int) Capabilities {
	if c.Assumed && refused > c.safe() {
		c.Refused = refused
	}
	return c
}

// Wire is how many bytes a payload takes on the wire, and whether it is so long that a
// refusal may be about its length; 0 where it cannot be carried.
func (c Capabilities) Wire(payload []byte) (size int, over bool) {
	how, err := c.form(payload)
	switch {
	case err != nil:
		return 0, false
	case how == inHex:
		size = 2 * len(payload)
	case how == raw:
		size = len(payload)
	default:
		size = measure(payload).escaped
	}
	return size, c.Assumed && size > c.safe()
}

// Check returns a [*PayloadError] if the module cannot carry a payload.
func (c Capabilities) Check(payload []byte) error {
	_, err := c.form(payload)
	return err
}

// Binary says whether a payload may hold any byte.
func (c Capabilities) Binary() bool { return c.MPUBEX || c.Hex }

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

// safe is the payload that is believed to pass, in bytes on the wire.
func (c Capabilities) safe() int {
	if c.MaxPayload <= 0 {
		return floorPayload
	}
	return min(c.MaxPayload, mostPayload)
}

// limit is the longest payload that is given to the module.
func (c Capabilities) limit() int {
	switch {
	case !c.Assumed:
		return c.safe()
	case c.Refused > 0:
		return c.Refused - 1
	}
	return max(c.safe(), bestPayload)
}

// form picks the wire form of a payload, or says why there is none.
func (c Capabilities) form(payload []byte) (form, error) {
	limit := c.limit()
	if c.hexSession() {
		if 2*len(payload) > limit {
			return 0, c.tooLarge(len(payload), limit/2)
		}
		return inHex, nil
	}
	m := measure(payload)
	if c.MPUBEX && (m.refused >= 0 || m.risky || m.escaped > c.safe()) {
		if len(payload) > limit {
			return 0, c.tooLarge(len(payload), limit)
		}
		return raw, nil
	}
	if m.refused >= 0 {
		return 0, &PayloadError{Size: len(payload), Offset: m.refused, Byte: payload[m.refused]}
	}
	if m.escaped > limit {
		return 0, c.tooLarge(m.escaped, limit)
	}
	return escaped, nil
}

func (c Capabilities) tooLarge(size, limit int) error {
	return &PayloadError{TooLarge: true, Size: size, Limit: limit, Firmware: c.Firmware, Configured: c.Configured, Learned: c.Refused > 0}
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
