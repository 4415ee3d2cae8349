package metrics

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// other stands for every label value outside its set.
const other = "other"

// Labels are the closed sets whose words belong to other packages.
type Labels struct {
	States     []string // of the session, the first one first
	Causes     []string // why it is not online
	Rungs      []string // of the ladder of recovery
	Kinds      []string // of unsolicited lines
	Reasons    []string // why the outbox dropped a message
	ByteCauses []string // what bytes on the air are for
	Paths      []string // of the local socket, as http.ServeMux writes them
	Fates      []string // what becomes of a publish of an MQTT program
	Welcomes   []string // how a connection of one is answered
}

// publishPath is where programs hand in their messages.
const publishPath = "/v1/publish"

// Words are a closed set as it prints.
func Words[T any](set []T) []string {
	list := make([]string, len(set))
	for i, word := range set {
		list[i] = fmt.Sprint(word)
	}
	return list
}

// The closed sets of this package itself.
var (
	outcomes = []string{"acked", "sent", "unknown", "rejected"}
	verdicts = []string{"ok", "failed"}

	// fates are the outcomes that a message of each QoS can have.
	fates      = [][2]string{{"0", "sent"}, {"0", "unknown"}, {"0", "rejected"}, {"1", "acked"}, {"1", "unknown"}, {"1", "rejected"}}
	directions = []string{"rx", "tx"}

	// verbs are the commands whose time says something; the quick questions of a
	// start share "other".
	verbs   = []string{"HTTPACTION", "MCONNECT", "MIPSTART", "MPUB", "MQTTSTATU", "MSUB", "SAPBR"}
	aliases = map[string]string{"SSLMIPSTART": "MIPSTART", "MPUBEX": "MPUB", "MUNSUB": "MSUB"}
	results = []string{"ok", "error", "cme", "timeout", "cancelled", "rebooted", "port"}

	// refusals are the answers to publishPath that somebody has to look after.
	refusals = []int{503, 507}

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

// pathOf takes a http.ServeMux pattern; the method does not count.
func pathOf(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		pattern = path
	}
	return pattern
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
// so that it can stand in a label: valid UTF-8, only what is printed, at most
// 64 bytes.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return strings.ToValidUTF8(s[:min(len(s), 64)], "")
}
