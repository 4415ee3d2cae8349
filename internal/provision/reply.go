package provision

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"airbridged/internal/secret"
)

// Errors of a reply that is no answer of the cloud's.
var (
	// ErrReply: not the JSON that the cloud sends, or without what was asked
	// for. A captive portal, a proxy or an HTTP error page looks like this.
	ErrReply = errors.New("not a usable answer of the cloud")
	// ErrPage: an ErrReply that is a page for a browser.
	ErrPage = fmt.Errorf("%w: a web page", ErrReply)
	// ErrOtherDevice: a registration answered for another device. Its secret
	// must not be used.
	ErrOtherDevice = errors.New("the answer is for another device")
)

// Bounds in bytes: of a reply (the cloud's have some 220), and of a value that
// becomes an AT+MCONFIG argument (Air AT manual 1.6.3 section 16).
const (
	maxReply = 16 << 10
	maxValue = 256
)

// codeOK is the code of success. The HTTP status says nothing: it is 200 for
// refusals too.
const codeOK = 200

// reply is the envelope of every answer.
type reply struct {
	Code    *int            `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
}

// page is how one begins: with a tag, a declaration or a comment, perhaps behind the mark
// of its encoding.
var page = regexp.MustCompile(`^\x{FEFF}?\s*<[!?A-Za-z]`)

// unwrap takes the envelope off an answer and decodes its data.
func unwrap(raw []byte, data any) error {
	if len(raw) > maxReply {
		return fmt.Errorf("%w: %d bytes", ErrReply, len(raw))
	}
	if page.Match(raw) {
		return fmt.Errorf("%w of %d bytes", ErrPage, len(raw))
	}
	var r reply
	if err := json.Unmarshal(raw, &r); err != nil || r.Code == nil {
		return fmt.Errorf("%w: no JSON with a code in %d bytes", ErrReply, len(raw))
	}
	if *r.Code != codeOK {
		return &CloudError{Code: *r.Code, Message: presentable(r.Message, r.Data)}
	}
	if len(r.Data) == 0 || json.Unmarshal(r.Data, data) != nil {
		return fmt.Errorf("%w: code 200 without data", ErrReply)
	}
	return nil
}

// ParseRegister returns the DeviceSecret from the answer to a registration, or
// a *[CloudError], [ErrReply] or [ErrOtherDevice]. The answer repeats the
// identity (vendor quick guide, part 3); where it does, it must be the one
// that was asked for.
func ParseRegister(raw []byte, want Identity) (secret.Text, error) {
	var data struct {
		ProductKey   *string `json:"productKey"`
		DeviceName   *string `json:"deviceName"`
		DeviceSecret string  `json:"deviceSecret"`
	}
	if err := unwrap(raw, &data); err != nil {
		return secret.Text{}, err
	}
	other := func(got *string, want string) bool { return got != nil && *got != want }
	if other(data.ProductKey, want.ProductKey) || other(data.DeviceName, want.DeviceName) {
		return secret.Text{}, fmt.Errorf("registration: %w; its secret is not used", ErrOtherDevice)
	}
	if err := usable("deviceSecret", data.DeviceSecret); err != nil {
		return secret.Text{}, err
	}
	return secret.New(data.DeviceSecret), nil
}

// ParseAuth returns the token from the answer to an authentication, obtained
// now, or a *[CloudError] or [ErrReply]. A host that the answer may propose is
// left alone: it is known to differ from the one that works, and the
// configuration decides.
func ParseAuth(raw []byte) (Token, error) {
	var data struct {
		IotID    string `json:"iotId"`
		IotToken string `json:"iotToken"`
	}
	if err := unwrap(raw, &data); err != nil {
		return Token{}, err
	}
	if err := errors.Join(usable("iotId", data.IotID), usable("iotToken", data.IotToken)); err != nil {
		return Token{}, err
	}
	return Token{IotID: data.IotID, Secret: secret.New(data.IotToken), ObtainedAt: time.Now()}, nil
}

// usable refuses a value that is empty, too long, or could not stand between
// the quotes of an AT argument. It never shows the value.
func usable(name, value string) error {
	if value == "" {
		return fmt.Errorf("%w: %s is missing or empty", ErrReply, name)
	}
	if len(value) > maxValue {
		return fmt.Errorf("%w: %s has %d bytes, the module takes %d", ErrReply, name, len(value), maxValue)
	}
	for i := range len(value) {
		if b := value[i]; b <= ' ' || b >= 0x7f || b == '"' {
			return fmt.Errorf("%w: %s has a byte at offset %d that no AT argument can hold", ErrReply, name, i)
		}
	}
	return nil
}
