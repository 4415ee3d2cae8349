package provision

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// CloudError is a refusal by the cloud: its code and its message, the latter
// printable, at most 120 characters, and without anything that could be a
// secret.
type CloudError struct {
	Code    int
	Message string
}

// Error gives the code, the message and what the operator can do.
func (e *CloudError) Error() string {
	text := fmt.Sprintf("the cloud answered code %d", e.Code)
	if e.Message != "" {
		text += " (" + e.Message + ")"
	}
	return text + ": " + e.Hint()
}

// Kind is the class of a refusal. The words are the causes of the status.
type Kind string

// The kinds of refusal.
const (
	SignatureRefused     Kind = "signature-refused"     // wrong secret: asking again changes nothing
	ProductUnknown       Kind = "product-unknown"       // wrong ProductKey, DeviceName, region or instance
	RegistrationDisabled Kind = "registration-disabled" // the product's switch is off
	AlreadyActivated     Kind = "already-activated"     // the secret was handed out before
	RequestRefused       Kind = "request-refused"       // anything else that the cloud does not accept
	CloudTrouble         Kind = "cloud-error"           // the cloud's own trouble or throttling: try again later
)

// Kind classifies the code (Aliyun documents 89298 and 120329). A code that no
// document names counts as request-refused, so that it is not hammered.
func (e *CloudError) Kind() Kind {
	switch e.Code {
	case 401, 6600, 6292:
		return SignatureRefused
	case 6250, 6100, 5005, 5001:
		return ProductUnknown
	case 6288:
		return RegistrationDisabled
	case 6289:
		return AlreadyActivated
	case 429, 6760:
		return CloudTrouble
	}
	if e.Code >= 500 && e.Code <= 599 {
		return CloudTrouble
	}
	return RequestRefused
}

// Hint says in words what the operator can do.
func (e *CloudError) Hint() string {
	switch e.Kind() {
	case SignatureRefused:
		return "check the secret (no blanks, the right product) and cloud.sign"
	case ProductUnknown:
		return "check device.product_key, device.device_name, cloud.region and cloud.instance; the device must exist in the product"
	case RegistrationDisabled:
		return "turn on dynamic registration for the product in the console"
	case AlreadyActivated:
		return "its secret was handed out before: restore it, copy it from the console into device.device_secret_file, or delete the device in the console and add it again"
	case CloudTrouble:
		return "nothing to do here, it is tried again"
	}
	return "check the device in the console: it may be disabled, or use another way to log in"
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
