package api

// ProblemPrefix begins the Type of every [Problem] that the daemon itself found;
// one of the names below follows.
const ProblemPrefix = "urn:airbridged:problem:"

// Names of problems. They stay as they are.
const (
	BadOption           = "bad-option"
	BadTopic            = "bad-topic"
	BadFilter           = "bad-filter"
	BadBody             = "bad-body"
	BadRequest          = "bad-request"
	BadCommand          = "bad-command"
	NotBatchable        = "not-batchable"
	Unsupported         = "unsupported"
	ReservedTopic       = "reserved-topic"
	NotPermitted        = "not-permitted"
	ForeignSite         = "foreign-site"
	AccessDenied        = "access-denied"
	OverRate            = "over-rate"
	NoSuchRoute         = "no-such-route"
	UnknownMessage      = "unknown-message"
	UnknownSubscription = "unknown-subscription"
	UnknownCall         = "unknown-call"
	CallAnswered        = "call-answered"
	CallOver            = "call-over"
	MethodNotAllowed    = "method-not-allowed"
	MessageInFlight     = "in-flight"
	FinalState          = "final-state"
	CommandRefused      = "command-refused"
	NotNow              = "not-now"
	TooOften            = "too-often"
	SlowBody            = "slow-body"
	PayloadTooLarge     = "payload-too-large"
	NotCarried          = "payload-not-carried"
	Configuration       = "configuration"
	Internal            = "internal"
	CloudRefused        = "cloud-refused"
	OutboxFull          = "outbox-full"
	KeyReused           = "key-reused"
	TooBusy             = "too-busy"
	TooManyFilters      = "too-many-filters"
	NotKeptInTime       = "not-kept-in-time"
	NoModule            = "no-module"
	ModuleBusy          = "module-busy"
	ModuleSilent        = "module-silent"
	DiskFailing         = "disk-failing"
	Unhealthy           = "unhealthy" // never on the wire: GET /healthz refuses with a [Health]
)

// Problem is the body of every refusal (RFC 9457).
type Problem struct {
	Type   string `json:"type"`   // stable: ProblemPrefix and a name
	Title  string `json:"title"`  // what kind of problem, in words
	Status int    `json:"status"` // HTTP status
	Detail string `json:"detail"` // what is wrong with this request
	Hint   string `json:"hint"`   // what to do about it

	// Mistakes are there with Configuration only.
	Mistakes []Mistake `json:"mistakes,omitempty"`
}

// Uncarried stands in a [Problem] beside the rest when the module cannot carry a
// payload.
type Uncarried struct {
	// Size and Limit are there with PayloadTooLarge: bytes, as the module counts
	// them.
	Size  *int `json:"size,omitempty"`
	Limit *int `json:"limit,omitempty"`
	// Offset, from 0 on, and Byte are there with NotCarried: what of the payload is
	// in the way.
	Offset *int `json:"offset,omitempty"`
	Byte   *int `json:"byte,omitempty"`
}
