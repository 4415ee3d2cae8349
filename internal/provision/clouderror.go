package provision

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"airbridged/internal/recovery"
)

// CloudError is a refusal by the cloud: its code and its message, the latter
// printable, at most 120 characters, and without anything that could be a
// secret.
type CloudError struct {
	Code    int
	Message string
}

// Error gives the code and the message; what the operator can do is the cause's hint.
func (e *CloudError) Error() string {
	text := fmt.Sprintf("the cloud answered code %d", e.Code)
	if e.Message != "" {
		text += " (" + e.Message + ")"
	}
	return text
}

// Cause classifies the code (Aliyun documents 89298 and 120329). A code that no
// document names counts as request-refused, so that it is not hammered.
func (e *CloudError) Cause() recovery.Cause {
	switch e.Code {
	case 401, 6600, 6292:
		return recovery.SignatureRefused
	case 6250, 6100, 5005, 5001:
		return recovery.ProductUnknown
	case 6288:
		return recovery.RegistrationDisabled
	case 6289:
		return recovery.AlreadyActivated
	case 429, 6760:
		return recovery.CloudError
	}
	if e.Code >= 500 && e.Code <= 599 {
		return recovery.CloudError
	}
	return recovery.RequestRefused
}

// withheld stands for a message that repeats something of the data.
const withheld = "text withheld"

// longRun finds what may be a secret, a token or a signature: the shortest of
// them, the ProductSecret, has 16 characters.
var longRun = regexp.MustCompile(`[A-Za-z0-9^]{16,}`)

// presentable makes a message of the cloud fit to be shown.
func presentable(message string, data json.RawMessage) string {
	clean := strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, message)
	clean = longRun.ReplaceAllString(strings.Join(strings.Fields(clean), " "), "[...]")
	if runes := []rune(clean); len(runes) > 120 {
		clean = string(runes[:120])
	}
	for _, text := range texts(data) {
		if len(text) >= 4 && strings.Contains(clean, text) {
			return withheld
		}
	}
	return clean
}

// texts returns every text in a JSON document, names of fields excepted.
func texts(doc json.RawMessage) []string {
	var root any
	if json.Unmarshal(doc, &root) != nil {
		return nil
	}
	var found []string
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			found = append(found, v)
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(root)
	return found
}
