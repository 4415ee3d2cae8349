package metrics

import (
	"slices"
	"strconv"
	"strings"
)

// other stands for every label value outside its set.
const other = "other"

// The closed sets. They repeat words of the packages that use them: this
// package imports none.
var (
	states = []string{"probing", "attaching", "registering", "authenticating", "connecting", "online", "recovering", "stopping"}

	// The empty cause is progress.
	causes = []string{
		"", "port-missing", "port-busy", "no-answer", "out-of-sync", "firmware-unsupported", "sim-missing", "not-registered",
		"bearer-failed", "http-failed", "registration-disabled", "already-activated", "signature-refused", "product-unknown",
		"connect-failed", "connack-refused", "suback-timeout", "puback-timeout", "closed", "kicked", "throttled", "rebooted",
		"write-blocked", "request-refused", "cloud-error", "state-unwritable", "disk-full",
	}

	outcomes   = []string{"acked", "sent", "unknown", "rejected"}
	reasons    = []string{"damaged", "expired", "full", "rejected", "removed", "replaced"}
	rungs      = []string{"resync", "session", "bearer", "radio", "reset", "reopen", "exit"}
	verdicts   = []string{"ok", "failed"}
	directions = []string{"rx", "tx"}
	byteCauses = []string{"dns", "downlink", "handshake", "http", "keepalive", "payload", "retry"}

	// verbs are the commands whose time says something; the quick questions of a
	// start share "other".
	verbs   = []string{"CSQ", "HTTPACTION", "MCONNECT", "MIPSTART", "MPUB", "MQTTSTATU", "MSUB", "SAPBR"}
	aliases = map[string]string{"SSLMIPSTART": "MIPSTART", "MPUBEX": "MPUB", "MUNSUB": "MSUB"}
	results = []string{"ok", "error", "cme", "timeout", "cancelled", "rebooted", "port"}

	kinds = []string{
		"connect_ok", "connect_fail", "connect_state", "already_connected", "connack_ok", "suback", "unsuback", "puback", "pubrec",
		"pubcomp", "http_action", "http_error", "closed", "bearer_lost", "bearer_up", "http_bearer_lost", "rebooted", "power_down",
		"sim_ready", "sim_removed", "sim_state", "service_lost", "service_back", "registration", "network_mode", "network_event",
		"network_time", "signal", "cell_info", "socket", "sms", "call", "fota", "msub", "msub_cached", "msub_bad", "stray_reply",
		"stray_prompt", "stray_block", "echo", "overlong", "ignored", "unknown",
	}

	routes = []string{
		"/v1/publish", "/v1/messages/{id}", "/v1/subscribe", "/v1/status", "/v1/events", "/v1/outbox", "/v1/outbox/{id}", "/v1/at",
		"/v1/reprovision", "/v1/trace", "/v1/reload", "/healthz", "/metrics",
	}
	codes = []int{200, 202, 400, 403, 404, 405, 408, 409, 413, 422, 429, 500, 502, 503, 504, 507}
)

// oneOf returns value if it is in the set, else other.
func oneOf(set []string, value string) string {
	if slices.Contains(set, value) {
		return value
	}
	return other
}

// verbOf sorts a command; TLS and binary forms count with the plain ones.
func verbOf(verb string) string {
	if plain, ok := aliases[verb]; ok {
		verb = plain
	}
	return oneOf(verbs, verb)
}

// routeOf takes a http.ServeMux pattern; the method does not count.
func routeOf(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		pattern = path
	}
	return oneOf(routes, pattern)
}

func codeOf(code int) string {
	if slices.Contains(codes, code) {
		return strconv.Itoa(code)
	}
	return other
}

func qosOf(qos int) string {
	if qos == 0 || qos == 1 {
		return strconv.Itoa(qos)
	}
	return other
}

// printable bounds a text that is not ours (a module says what firmware it has)
// so that it can stand in a label: valid UTF-8, no control characters, at most
// 64 bytes.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return strings.ToValidUTF8(s[:min(len(s), 64)], "")
}
