package api

// Access is the answer of GET /v1/access: which rule decides, and how.
type Access struct {
	Allowed bool   `json:"allowed"`
	Rule    string `json:"rule"` // as refusals name it; "": none decides
	Why     string `json:"why"`
	Who     string `json:"who"`    // who was asked about, as the kernel or a password says
	Action  string `json:"action"` // "publish" or "subscribe"
	Topic   string `json:"topic"`

	Limits *AccessLimits `json:"limits"` // of the rule; null: no rule decides
}

// AccessLimits is what else a rule says.
type AccessLimits struct {
	Priority   Priority `json:"priority"`    // the highest that may be asked for
	Rate       string   `json:"rate"`        // in words; "": no bound
	Share      int      `json:"share"`       // of the outbox, in percent
	MaxPayload int      `json:"max_payload"` // bytes; 0: what the module carries
	Drop       string   `json:"drop"`        // DropOwn or DropAll
	See        []string `json:"see"`
}

// Words of AccessLimits.Drop.
const (
	DropOwn = "own"
	DropAll = "all"
)
