// Package secret owns one type: a string that cannot print itself.
//
// It promises that a ProductSecret, a DeviceSecret, an iotToken or a signature
// held in a [Text] never reaches a log line, an error, a trace or a JSON
// document by accident: every formatting verb, every marshaller and every
// logger that asks the value how to print itself gets "[secret]". The one way
// out is [Text.Reveal], which is easy to grep for.
//
// It never encrypts and never wipes memory: it guards against printing, not
// against a debugger.
package secret

import "fmt"

// redacted stands wherever a secret would have been printed.
const redacted = "[secret]"

// Text is a secret string. The zero value is an empty secret.
type Text struct{ value string }

// New wraps a secret. The caller should keep no copy of s.
func New(s string) Text { return Text{s} }

// Reveal returns the secret itself. Call it only where the secret leaves the
// process on purpose: into an HMAC key, an AT+MCONFIG argument, its own file.
func (t Text) Reveal() string { return t.value }

// Empty says whether there is no secret.
func (t Text) Empty() bool { return t.value == "" }

// String hides the secret from %s, %v and anything that takes a Stringer.
func (t Text) String() string { return redacted }

// Format hides the secret from every verb, %#v and %x included.
func (t Text) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText hides the secret from JSON, TOML, zap and slog.
func (t Text) MarshalText() ([]byte, error) { return []byte(redacted), nil }
