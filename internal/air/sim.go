package air

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"airbridged/internal/atengine"
)

// SIMError is a SIM that cannot be used, or cannot be used yet. It is [ErrNoSIM],
// [ErrSIMLocked], [ErrSIMBusy] or [ErrSIMFailed].
type SIMError struct {
	Said   string // what the module said, such as "SIM PUK" or "+CME ERROR: 13"
	Advice string // what a person can do about it; empty: what the kind of error says
	Err    error

	refused error // the refusal, where it was one
}

func (e *SIMError) Error() string { return fmt.Sprintf("%v (the module says %q)", e.Err, e.Said) }

// Unwrap gives the kind of error, and the refusal.
func (e *SIMError) Unwrap() []error {
	if e.refused == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.refused}
}

// SIM asks for the state of the SIM: nil when it is ready, else a [*SIMError].
func (m *Modem) SIM(ctx context.Context) error {
	line, err := m.ask(ctx, "AT+CPIN?", m.radioQuestion(), isPINReply)
	if err != nil {
		return simError(err)
	}
	return parsePIN(line)
}

// What a person can do about a lock. Only the first two are the card's own; the others
// are the module's, which somebody sold with them (3GPP TS 27.007 section 8.3).
const (
	pinAdvice  = "the SIM wants its PIN: switch its PIN off in a phone"
	pukAdvice  = "the SIM wants its PUK, because a wrong PIN was given too often: unblock it in a phone with the PUK that the operator has, and switch its PIN off; ten wrong ones destroy the card"
	pin2Advice = "the SIM wants a second PIN, which is for what this daemon never does: reset it in a phone with the operator's codes"
	deadAdvice = "the SIM is blocked for good: the operator has to replace the card"
	thisAdvice = "the module is locked to another card: put that one in, or have the lock taken off by who sold the module"
	netAdvice  = "the module is locked to other operators' cards: use one of theirs, or have the lock taken off by who sold the module"
)

// simWords are the answers to AT+CPIN? (3GPP TS 27.007 section 8.3, Air AT manual 1.6.3
// section 5), and how vendors spell some of them.
var simWords = map[string]SIMError{
	"SIM PIN":       {Err: ErrSIMLocked, Advice: pinAdvice},
	"SIM PUK":       {Err: ErrSIMLocked, Advice: pukAdvice},
	"SIM PIN2":      {Err: ErrSIMLocked, Advice: pin2Advice},
	"SIM PUK2":      {Err: ErrSIMLocked, Advice: pin2Advice},
	"PH-SIM PIN":    {Err: ErrSIMLocked, Advice: thisAdvice},
	"PH-SIM PUK":    {Err: ErrSIMLocked, Advice: thisAdvice},
	"PH-FSIM PIN":   {Err: ErrSIMLocked, Advice: thisAdvice},
	"PH-FSIM PUK":   {Err: ErrSIMLocked, Advice: thisAdvice},
	"PH-NET PIN":    {Err: ErrSIMLocked, Advice: netAdvice},
	"PH-NET PUK":    {Err: ErrSIMLocked, Advice: netAdvice},
	"PH-NETSUB PIN": {Err: ErrSIMLocked, Advice: netAdvice},
	"PH-NETSUB PUK": {Err: ErrSIMLocked, Advice: netAdvice},
	"PH-SP PIN":     {Err: ErrSIMLocked, Advice: netAdvice},
	"PH-SP PUK":     {Err: ErrSIMLocked, Advice: netAdvice},
	"PH-CORP PIN":   {Err: ErrSIMLocked, Advice: netAdvice},
	"PH-CORP PUK":   {Err: ErrSIMLocked, Advice: netAdvice},
	"BLOCKED":       {Err: ErrSIMLocked, Advice: deadAdvice},
	"SIM BLOCKED":   {Err: ErrSIMLocked, Advice: deadAdvice},
	"PUK BLOCKED":   {Err: ErrSIMLocked, Advice: deadAdvice},
	"NOT INSERTED":  {Err: ErrNoSIM},
	"SIM REMOVED":   {Err: ErrNoSIM},
	"SIM FAILURE":   {Err: ErrSIMFailed},
	"SIM WRONG":     {Err: ErrSIMFailed},
	"NOT READY":     {Err: ErrSIMBusy},
	"SIM BUSY":      {Err: ErrSIMBusy},
}

// simCodes are the numbers of +CME ERROR that are about the SIM (3GPP TS 27.007 section
// 9.2, Air AT manual 1.6.3 section 3.15). A plain ERROR is what 2G modules say to
// everything that has to do with a missing SIM.
var simCodes = map[int]SIMError{
	atengine.PlainError: {Err: ErrNoSIM},

	4:  {Err: ErrSIMBusy}, // in the first seconds a module knows no command
	5:  {Err: ErrSIMLocked, Advice: thisAdvice},
	6:  {Err: ErrSIMLocked, Advice: thisAdvice},
	7:  {Err: ErrSIMLocked, Advice: thisAdvice},
	10: {Err: ErrNoSIM},
	11: {Err: ErrSIMLocked, Advice: pinAdvice},
	12: {Err: ErrSIMLocked, Advice: pukAdvice},
	13: {Err: ErrSIMFailed},
	14: {Err: ErrSIMBusy},
	15: {Err: ErrSIMFailed},
	17: {Err: ErrSIMLocked, Advice: pin2Advice},
	18: {Err: ErrSIMLocked, Advice: pin2Advice},
	40: {Err: ErrSIMLocked, Advice: netAdvice},
	41: {Err: ErrSIMLocked, Advice: netAdvice},
	42: {Err: ErrSIMLocked, Advice: netAdvice},
	43: {Err: ErrSIMLocked, Advice: netAdvice},
	44: {Err: ErrSIMLocked, Advice: netAdvice},
	45: {Err: ErrSIMLocked, Advice: netAdvice},
	46: {Err: ErrSIMLocked, Advice: netAdvice},
	47: {Err: ErrSIMLocked, Advice: netAdvice},
}

// simError sorts what AT+CPIN? is refused with. A number that is about something else
// is a card of which the module cannot tell: it is asked again.
func simError(err error) error {
	code, no := refusal(err)
	if !no {
		return err
	}
	told, known := simCodes[code]
	if !known || code == atengine.PlainError && !plain(err) {
		told = SIMError{Err: ErrSIMFailed}
	}
	told.Said, told.refused = saidBy(err), err
	return &told
}

// saidBy is the line with which the module refused.
func saidBy(err error) string {
	var e *atengine.Error
	if !errors.As(err, &e) {
		return ""
	}
	const most = 40
	return printable([]byte(e.Final[:min(len(e.Final), most)]))
}

// parsePIN reads the answer to AT+CPIN?: nil for READY.
func parsePIN(line []byte) error {
	rest, ok := answer(line, "+CPIN")
	if !ok || len(rest) == 0 {
		return malformed("AT+CPIN?")
	}
	if string(rest) == "READY" {
		return nil
	}
	told, known := simWords[string(bytes.ToUpper(rest))]
	if !known {
		return malformed("AT+CPIN?")
	}
	told.Said = string(rest)
	return &told
}

// isPINReply tells the answer from the URCs of the same name, which carry the
// slot's number: "+CPIN: READY 0", "+CPIN: SIM REMOVED 0".
func isPINReply(line []byte) bool {
	rest, ok := answer(line, "+CPIN")
	return ok && !bytes.HasSuffix(rest, []byte(" 0")) && !bytes.HasSuffix(rest, []byte(" 1"))
}
