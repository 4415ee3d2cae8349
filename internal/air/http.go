package air

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"airbridged/internal/atengine"
)

// readTries is how often an answer is read whose bytes got lost on the line: the
// cloud gives a DeviceSecret away only once.
const readTries = 3

// Post sends a form over HTTPS and returns the answer (quick guide, parts 3 and
// 4). Any status but 200 is an [*HTTPError]. It always ends with HTTPTERM. Body
// and answer hold signatures and secrets: neither gets into errors or logs.
func (m *Modem) Post(ctx context.Context, url, body string) (reply []byte, err error) {
	para, err := urlLine(url)
	if err != nil {
		return nil, err
	}
	data, err := httpDataLine(len(body))
	if err != nil {
		return nil, err
	}
	if err := m.httpInit(ctx); err != nil {
		return nil, err
	}
	defer m.httpTerm(ctx)
	for _, line := range []string{para, `AT+HTTPPARA="USER_DEFINED","` + formType + `"`} {
		if _, err := m.do(ctx, line); err != nil {
			return nil, err
		}
	}
	if _, err := m.eng.Do(ctx, atengine.Command{
		Line: data, Prompt: "DOWNLOAD", Data: []byte(body),
		Timeout: m.o.Timeouts.Command + m.wireTime(len(body)),
	}); err != nil {
		return nil, err
	}
	if err := m.httpAction(ctx); err != nil {
		return nil, err
	}
	return m.httpRead(ctx)
}

// Leftover returns the answer of an earlier request that nobody read, because the
// port or the daemon went away in between: the module keeps it until HTTPTERM,
// which this sends. It returns nil when there is none. An error is only a module
// that does not answer.
func (m *Modem) Leftover(ctx context.Context) ([]byte, error) {
	body, err := m.httpRead(ctx)
	if _, no := refusal(err); no || errors.Is(err, ErrMalformed) {
		body, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	m.httpTerm(ctx) // what was read is kept, whatever becomes of the session
	return body, nil
}

// httpInit opens the module's only HTTP session. One that an earlier run left
// open is closed first: at once when it is known, else when HTTPINIT is refused.
func (m *Modem) httpInit(ctx context.Context) error {
	if m.httpStuck {
		if err := m.tell(ctx, m.command("AT+HTTPTERM")); err != nil {
			return err
		}
	}
	m.httpStuck = true
	_, err := m.do(ctx, "AT+HTTPINIT")
	if _, no := refusal(err); !no {
		return err
	}
	if err := m.tell(ctx, m.command("AT+HTTPTERM")); err != nil {
		return err
	}
	_, err = m.do(ctx, "AT+HTTPINIT")
	return err
}

// httpTerm closes the HTTP session. That it failed is remembered, and no error of
// the request.
func (m *Modem) httpTerm(ctx context.Context) {
	err := m.tell(ctx, m.command("AT+HTTPTERM"))
	m.httpStuck = err != nil
	if err != nil {
		m.log.Debug("the HTTP session could not be closed", zap.Error(err))
	}
}

// httpAction starts the POST and awaits +HTTPACTION. After a CME error the line
// still follows (AT manual 1.6.3, HTTPACTION), and tells more; the line's method
// digit is not looked at.
func (m *Modem) httpAction(ctx context.Context) error {
	since := m.eng.Mark()
	reply, refused := m.do(ctx, "AT+HTTPACTION=1")
	timeout := m.o.Timeouts.HTTP
	if refused == nil {
		since = reply.Mark
	} else if _, no := refusal(refused); no {
		timeout = m.o.Timeouts.Command
	} else {
		return refused
	}
	urc, kind, err := m.await(ctx, since, timeout, "+HTTPACTION", []EventKind{HTTPAction}, []EventKind{HTTPBearerLost, BearerLost})
	switch {
	case refused != nil && errors.Is(err, atengine.ErrTimeout):
		return refused
	case err != nil:
		return err
	case kind != HTTPAction:
		return fmt.Errorf("waiting for +HTTPACTION: %w", ErrBearerLost)
	}
	a, err := parseAction([]byte(urc.Text))
	if err != nil {
		return err
	}
	if a.status != 200 {
		return &HTTPError{Status: a.status}
	}
	return nil
}

// httpRead fetches the answer. When bytes of it were lost it is read again: the
// module keeps it until HTTPTERM.
func (m *Modem) httpRead(ctx context.Context) (body []byte, err error) {
	for range readTries {
		var block []byte
		block, err = m.ask(ctx, "AT+HTTPREAD", m.o.Timeouts.Command, named(httpReadFramer))
		if err == nil {
			body, err = parseHTTPRead(block)
		}
		if !errors.Is(err, ErrMalformed) {
			return body, err
		}
		m.log.Warn("bytes of an HTTPS answer were lost on the serial line", zap.Error(err))
	}
	return nil, err
}
