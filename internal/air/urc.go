package air

import (
	"bytes"

	"airbridged/internal/atengine"
)

// EventKind sorts the lines that nobody asked for. It is a closed set: the label
// of a metric.
type EventKind string

// Results of commands that the module first answers with OK.
const (
	ConnectOK        EventKind = "connect_ok"
	ConnectFail      EventKind = "connect_fail"
	ConnectState     EventKind = "connect_state" // STATE: why CONNECT FAIL follows
	ConnectError     EventKind = "connect_error" // TCP ERROR:n
	AlreadyConnected EventKind = "already_connected"
	ConnAckOK        EventKind = "connack_ok"
	SubAck           EventKind = "suback"
	UnsubAck         EventKind = "unsuback"
	PubAck           EventKind = "puback"
	PubRec           EventKind = "pubrec"
	PubComp          EventKind = "pubcomp"
	HTTPAction       EventKind = "http_action"
	HTTPFault        EventKind = "http_error" // ERROR:<n>, the HTTP stack's second family
)

// What happened to the module, the SIM, the network and the links.
const (
	Closed         EventKind = "closed"           // the MQTT link closed
	BearerLost     EventKind = "bearer_lost"      // the data bearer is gone, and every link with it
	BearerUp       EventKind = "bearer_up"        // a bearer was activated
	HTTPBearerLost EventKind = "http_bearer_lost" // +SAPBR n: DEACT: HTTP only
	Rebooted       EventKind = "rebooted"         // all settings are gone
	PowerDown      EventKind = "power_down"
	SIMReady       EventKind = "sim_ready"
	SIMRemoved     EventKind = "sim_removed"
	SIMState       EventKind = "sim_state" // any other +CPIN
	ServiceLost    EventKind = "service_lost"
	ServiceBack    EventKind = "service_back"
	Registration   EventKind = "registration"
	NetworkMode    EventKind = "network_mode" // ^MODE: 17 is LTE, 0 none
	NetworkEvent   EventKind = "network_event"
	NetworkTime    EventKind = "network_time"
	SignalReport   EventKind = "signal"
	CellInfo       EventKind = "cell_info"
	SocketEvent    EventKind = "socket" // plain TCP sockets, which this daemon does not open
	Message        EventKind = "sms"
	Call           EventKind = "call"
	Firmware       EventKind = "fota"
	NameAnswer     EventKind = "name_answer" // of AT+CDNSGIP, which only a diagnosis asks
)

// Downlink messages, and what is not an event at all.
const (
	Downlink       EventKind = "msub"
	DownlinkCached EventKind = "msub_cached" // a message waits in a slot: MQTTMSGSET=0 did not take
	DownlinkBad    EventKind = "msub_bad"    // a block that does not parse
	StrayReply     EventKind = "stray_reply" // an answer to nothing that was asked
	StrayPrompt    EventKind = "stray_prompt"
	StrayBlock     EventKind = "stray_block"
	Echo           EventKind = "echo"
	Overlong       EventKind = "overlong"
	Doubtful       EventKind = "doubtful" // cut from a block that went wrong, and so no evidence; in a log, that there was one
	Ignored        EventKind = "ignored"  // known from relatives of these modules, and harmless
	Unknown        EventKind = "unknown"
)

// EventKinds lists the whole set, for metrics that show a zero.
func EventKinds() []EventKind {
	return []EventKind{
		ConnectOK, ConnectFail, ConnectState, ConnectError, AlreadyConnected, ConnAckOK, SubAck, UnsubAck, PubAck, PubRec, PubComp, HTTPAction, HTTPFault,
		Closed, BearerLost, BearerUp, HTTPBearerLost, Rebooted, PowerDown, SIMReady, SIMRemoved, SIMState, ServiceLost, ServiceBack, Registration,
		NetworkMode, NetworkEvent, NetworkTime, SignalReport, CellInfo, SocketEvent, Message, Call, Firmware, NameAnswer,
		Downlink, DownlinkCached, DownlinkBad, StrayReply, StrayPrompt, StrayBlock, Echo, Overlong, Doubtful, Ignored, Unknown,
	}
}

// Event is an unsolicited line that may concern the session.
type Event struct {
	Kind EventKind
	Text string
}

// wholeLines are the lines without anything that varies.
var wholeLines = map[string]EventKind{
	"CONNECT OK":          ConnectOK,
	"CONNECT FAIL":        ConnectFail,
	"ALREADY CONNECT":     AlreadyConnected,
	"CONNACK OK":          ConnAckOK,
	"SUBACK":              SubAck,
	"UNSUBACK":            UnsubAck,
	"PUBACK":              PubAck,
	"PUBREC":              PubRec,
	"PUBCOMP":             PubComp,
	"CLOSED":              Closed,
	"RDY":                 Rebooted,
	"UART Boot Completed": Rebooted,
	"POWERED DOWN":        PowerDown,
	"+NO Service":         ServiceLost,
	"+E_UTRAN Service":    ServiceBack,
	"SMS READY":           Message,
	"CALL READY":          Call,
	"RING":                Call,
	"NO CARRIER":          Call,
	"OK":                  StrayReply,
	"ERROR":               StrayReply,
	"SHUT OK":             StrayReply,
	"SEND OK":             StrayReply,
	"SEND FAIL":           StrayReply,
	"DOWNLOAD":            StrayPrompt,
	"SSL CLOSED":          Ignored,
	"SMS Ready":           Ignored,
	"Call Ready":          Ignored,
	"+GSM Service":        Ignored,
	atengine.Doubt:        Doubtful,
}

// prefixes are the lines that vary behind their beginning; the first hit counts.
var prefixes = []struct {
	text string
	kind EventKind
}{
	{"STATE:", ConnectState},
	{"+HTTPACTION", HTTPAction},
	{"ERROR:", HTTPFault},
	{"+MSUB", Downlink}, // sorted further by its form
	{"+CPIN", SIMState}, // sorted further by its text
	{"+CGEV", NetworkEvent},
	{"+PDP", NetworkEvent},
	{"+SAPBR", NetworkEvent},
	{"+CREG", Registration},
	{"+CGREG", Registration},
	{"+CEREG", Registration},
	{"^MODE", NetworkMode},
	{"+NITZ", NetworkTime},
	{"+CSQ", SignalReport},
	{"+CESQ", SignalReport},
	{"*CESQ", SignalReport},
	{"+EEM", CellInfo},
	{"*BANDIND", CellInfo},
	{"+CMTI", Message},
	{"+QIND", Firmware},
	{"+UPGRADE", Firmware},
	{"+CDNSGIP", NameAnswer},
	{"TCP ERROR", ConnectError},
	{"UDP ERROR", SocketEvent},
	{"SSL&", SocketEvent},
	{"+CME ERROR", StrayReply},
	{"+CMS ERROR", StrayReply},
	{"AT", Echo},
	{"^CINIT", Ignored},
	{"*PSUTTZ", Ignored},
	{"DST:", Ignored},
	{"+CIND", Ignored},
	{"+CTZ", Ignored},
}

// Classify sorts one line by what it means when nobody asked for it (AT manual
// 1.6.3; vendor logs and change logs for the spellings).
func Classify(line []byte) EventKind {
	if kind, ok := wholeLines[string(line)]; ok {
		return kind
	}
	if isPowerDown(line) {
		return PowerDown
	}
	if IsReboot(line) {
		return Rebooted
	}
	for _, p := range prefixes {
		if len(line) >= len(p.text) && string(line[:len(p.text)]) == p.text {
			return refine(p.kind, line)
		}
	}
	return socketLine(line)
}

// refine tells apart lines that begin alike.
func refine(kind EventKind, line []byte) EventKind {
	has := func(text string) bool { return bytes.Contains(line, []byte(text)) }
	switch kind {
	case Downlink:
		return downlinkLine(line)
	case SIMState:
		switch {
		case has("SIM REMOVED"), has("NOT INSERTED"):
			return SIMRemoved
		case has("READY") && !has("NOT READY"):
			return SIMReady
		}
	case NetworkEvent:
		return bearerLine(line, has)
	}
	return kind
}

// downlinkLine sorts a +MSUB that did not form a block: the URC of the cached
// mode, "+MSUB: 0", or a header that is none.
func downlinkLine(line []byte) EventKind {
	slot, ok := answer(line, "+MSUB")
	if n, err := decimal(slot); ok && err == nil && n <= 9 {
		return DownlinkCached
	}
	return Unknown
}

// bearerLine sorts +PDP: DEACT and +PDP DEACT (the vendor spells it both ways),
// +SAPBR 1: DEACT, and the forms of +CGEV: a bearer that goes is a loss whoever
// took it away.
func bearerLine(line []byte, has func(string) bool) EventKind {
	gone := has("DEACT") || has("DETACH")
	switch {
	case bytes.HasPrefix(line, []byte("+SAPBR")):
		if gone {
			return HTTPBearerLost
		}
		return StrayReply
	case !ofOurContext(line):
		return NetworkEvent
	case gone:
		return BearerLost
	case has(" ACT"):
		return BearerUp
	}
	return NetworkEvent
}

// defaultContext is the PDP context in which the module runs MQTT, HTTP and sockets
// (AT manual 1.6.3, CGDCONT); the network calls it 0 in some firmware.
const defaultContext = 1

// ofOurContext says whether a +CGEV that names a context by its number alone means the
// default one: "+CGEV: ME PDN DEACT 5" is about one that a person opened beside it.
func ofOurContext(line []byte) bool {
	for _, event := range []string{" PDN DEACT ", " PDN ACT "} {
		_, number, found := bytes.Cut(line, []byte(event))
		number, _, _ = bytes.Cut(number, []byte{','})
		if n, err := decimal(bytes.TrimSpace(number)); found && err == nil {
			return n <= defaultContext
		}
	}
	return true
}

// mqttSocket is the number of the MQTT link with CIPMUX=1 (AT manual 1.6.3, MIPSTART).
const mqttSocket = 7

// socketLine sorts what sockets print with CIPMUX=1: a number, a comma, on some
// firmware a blank, and CLOSED, CONNECT OK and the like. That of a plain socket never
// means the MQTT link.
func socketLine(line []byte) EventKind {
	number, text, ok := bytes.Cut(line, []byte{','})
	n, err := decimal(number)
	if !ok || err != nil {
		return Unknown
	}
	text = bytes.TrimLeft(text, " ")
	switch string(text) {
	case "CLOSED", "CONNECT OK", "CONNECT FAIL", "ALREADY CONNECT":
		if n == mqttSocket {
			return wholeLines[string(text)]
		}
		return SocketEvent
	case "CLOSE OK", "SEND OK", "SEND FAIL":
		return SocketEvent
	}
	return Unknown
}

var (
	bootBanner = []byte("^boot.rom")
	// gluedReady follows a banner whose beginning was lost: the banner prints its
	// line end as backslash and n, so RDY stands right behind it.
	gluedReady = []byte(`\nRDY`)
)

// powerDown ends what a module says when it switches itself off, behind the reason:
// NORMAL, UNDER-VOLTAGE, OVER-VOLTAGE, OVER-TEMPERATURE (Air AT manual, CPOWD and CBC;
// SIMCom's manuals, whose words these are).
const powerDown = "POWER DOWN"

// isPowerDown says whether a line means that the module switches itself off: capitals
// only, and no longer than a reason makes it.
func isPowerDown(line []byte) bool {
	reason, ok := bytes.CutSuffix(line, []byte(powerDown))
	const longestReason = 24
	if !ok || len(reason) > longestReason || len(reason) > 0 && reason[len(reason)-1] != ' ' {
		return false
	}
	for _, c := range reason {
		if (c < 'A' || c > 'Z') && c != '-' && c != ' ' {
			return false
		}
	}
	return true
}

// IsReboot says whether a line means that the module restarted or goes down: the
// mask ROM's banner anywhere in it, for the banner has no line end of its own
// (EC618 field logs), RDY, UART Boot Completed, or NORMAL POWER DOWN and its like.
func IsReboot(line []byte) bool {
	switch string(line) {
	case "RDY", "UART Boot Completed", "POWERED DOWN":
		return true
	}
	return isPowerDown(line) || bytes.Contains(line, bootBanner) || bytes.HasSuffix(line, gluedReady)
}

// kept says whether somebody may wait for a kind or act on it: these lines go
// into the engine's log of URCs.
func (k EventKind) kept() bool {
	switch k {
	case ConnectOK, ConnectFail, ConnectState, ConnectError, AlreadyConnected, ConnAckOK, SubAck, UnsubAck, PubAck, PubRec, PubComp, HTTPAction, HTTPFault,
		Closed, BearerLost, BearerUp, HTTPBearerLost, Rebooted, PowerDown, SIMReady, SIMRemoved, ServiceLost, ServiceBack, Registration, NameAnswer:
		return true
	}
	return false
}

// classifyToken is Classify for whatever the scanner cut.
func classifyToken(t atengine.Token) EventKind {
	if t.Cut {
		return Doubtful
	}
	switch t.Kind {
	case atengine.Line:
		return Classify(t.Bytes)
	case atengine.Block:
		if t.Framer == msubFramer {
			return Downlink
		}
		return StrayBlock
	case atengine.Prompt:
		return StrayPrompt
	case atengine.Overlong:
		if IsReboot(t.Bytes) {
			return Rebooted
		}
		return Overlong
	}
	return Unknown
}
