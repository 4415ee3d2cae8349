package packet

import "fmt"

// Code is a reason code (5.0, 2.4) or, in a CONNACK up to 3.1.1, a return code
// (3.1.1, 3.2.2.3).
type Code byte

// Return codes of a CONNACK up to 3.1.1.
const (
	Accepted            Code = 0
	BadLevel            Code = 1
	IdentifierRejected  Code = 2
	ServerUnavailable   Code = 3
	BadUserOrPassword   Code = 4
	NotAuthorized311    Code = 5
	SubscriptionRefused      = 0x80 // in a SUBACK
)

// Reason codes of level 5.
const (
	Success                Code = 0x00
	DisconnectWithWill     Code = 0x04
	NoMatchingSubscribers  Code = 0x10
	NoSubscriptionExisted  Code = 0x11
	Unspecified            Code = 0x80
	MalformedPacket        Code = 0x81
	ProtocolError          Code = 0x82
	ImplementationSpecific Code = 0x83
	UnsupportedLevel       Code = 0x84
	BadClientID            Code = 0x85
	BadUser                Code = 0x86
	NotAuthorized          Code = 0x87
	Unavailable            Code = 0x88
	BadAuthMethod          Code = 0x8C
	KeepAliveTimeout       Code = 0x8D
	SessionTakenOver       Code = 0x8E
	FilterInvalid          Code = 0x8F
	TopicInvalid           Code = 0x90
	IDInUse                Code = 0x91
	IDNotFound             Code = 0x92
	ReceiveMaximumExceeded Code = 0x93
	AliasInvalid           Code = 0x94
	TooLarge               Code = 0x95
	RateTooHigh            Code = 0x96
	QuotaExceeded          Code = 0x97
	Administrative         Code = 0x98
	PayloadFormatInvalid   Code = 0x99
	SharedUnsupported      Code = 0x9E
)

// Failed says whether a reason code of level 5 is one of failure.
func (c Code) Failed() bool { return c >= 0x80 }

// Error is why bytes are no packet. Code is what level 5 answers before it closes.
type Error struct {
	Code   Code
	Type   Type
	Level  byte // with UnsupportedLevel: the one that was asked for
	Detail string
}

func (e *Error) Error() string {
	if e.Type == 0 {
		return e.Detail
	}
	return fmt.Sprintf("%s: %s", e.Type, e.Detail)
}

func malformed(detail string) error { return &Error{Code: MalformedPacket, Detail: detail} }

func protocolError(detail string) error { return &Error{Code: ProtocolError, Detail: detail} }
