package api

// Config is the answer to GET /v1/config: what is in effect, and where it stands.
// No secret is in it.
type Config struct {
	Files        []string  `json:"files"` // that were read, in reading order
	Settings     []Setting `json:"settings"`
	NeedsRestart []string  `json:"needs_restart"` // keys that the files have another value for since the daemon started
}

// Setting is one key in effect.
type Setting struct {
	Key   string `json:"key"`   // dotted, as in "modem.device", "subscribe[0].topic"
	Value string `json:"value"` // as TOML, as in "\"/dev/ttyUSB0\""
	File  string `json:"file"`  // where it stands; empty: it is the default
	Line  int    `json:"line"`  // there; 0: it is the default
}
