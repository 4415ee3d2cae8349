package air

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

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
	if err := m.httpPrepare(ctx, url, body); err != nil {
		return nil, err
	}
	defer m.httpTerm(ctx)
	if err := m.httpAction(ctx); err != nil {
		return nil, err
	}
	return m.httpRead(ctx)
}

// PostOnce is Post for an answer that the cloud gives only once. It is read until
// two readings are the same, because a single bit that flips on the line would
// spoil it for ever, and handed to keep before the module is told to forget it.
// After any error but an [*HTTPError] the module may have the answer still, for
// [Modem.Leftover].
func (m *Modem) PostOnce(ctx context.Context, url, body string, keep func(reply []byte) error) error {
	if err := m.httpPrepare(ctx, url, body); err != nil {
		return err
	}
	if err := m.httpAction(ctx); err != nil {
		var status *HTTPError
		if errors.As(err, &status) {
			m.httpTerm(ctx)
		}
		return err
	}
	return m.httpKeep(ctx, keep)
}

// leftoverPoll is how often a request that is still under way is looked at, should
// its +HTTPACTION not be seen.
const leftoverPoll = 5 * time.Second

// Leftover hands the answer of an earlier PostOnce to keep that nobody read,
// because the port or the daemon went away in between: the module has it until
// HTTPTERM, which this sends once it is kept. A request that is under way still,
// so that HTTPTERM would cut it off, is waited for as long as one may take. found
// is false when there is no answer. An error is one of keep, or a module that does
// not answer.
func (m *Modem) Leftover(ctx context.Context, keep func(reply []byte) error) (found bool, err error) {
	deadline := time.Now().Add(m.o.Timeouts.HTTP)
	m.expect(HTTPAction)
	defer m.expect()
	for {
		err := m.httpKeep(ctx, keep)
		_, no := refusal(err)
		switch {
		case errors.Is(err, ErrMalformed), no && time.Now().After(deadline):
			m.httpTerm(ctx)
			return false, nil
		case !no:
			return err == nil, err
		}
		// Only a module that has a session refuses to begin one.
		_, err = m.do(ctx, "AT+HTTPINIT")
		if _, no := refusal(err); !no {
			m.httpStuck = true
			return false, err
		}
		_, _, err = m.await(ctx, m.eng.Mark(), leftoverPoll, "+HTTPACTION", []EventKind{HTTPAction}, nil)
		if err != nil && !errors.Is(err, atengine.ErrTimeout) {
			return false, err
		}
	}
}

// httpKeep reads the answer surely, has it kept, and only then ends the session.
func (m *Modem) httpKeep(ctx context.Context, keep func(reply []byte) error) error {
	reply, err := m.httpReadSurely(ctx)
	if err != nil {
		return err
	}
	if err := keep(reply); err != nil {
		return err
	}
	m.httpTerm(ctx) // what was read is kept, whatever becomes of the session
	return nil
}

// httpReadSurely reads the answer until two readings are the same. A module that
// refuses to show it again is believed the first time.
func (m *Modem) httpReadSurely(ctx context.Context) ([]byte, error) {
	last, err := m.httpRead(ctx)
	if err != nil {
		return nil, err
	}
	for range readTries {
		again, err := m.httpRead(ctx)
		if _, no := refusal(err); no || err == nil && bytes.Equal(again, last) {
			return last, nil
		}
		if err != nil {
			return nil, err
		}
		last = again
	}
	return nil, malformed("AT+HTTPREAD: no two readings of the answer are the same")
}

// httpPrepare does everything up to HTTPACTION. If it fails, nothing was asked.
func (m *Modem) httpPrepare(ctx context.Context, url, body string) (err error) {
	para, err := urlLine(url)
	if err != nil {
		return err
	}
	data, err := httpDataLine(len(body))
	if err != nil {
		return err
	}
	if err := m.httpInit(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			m.httpTerm(ctx)
		}
	}()
	for _, line := range []string{para, `AT+HTTPPARA="USER_DEFINED","` + formType + `"`} {
		if _, err := m.do(ctx, line); err != nil {
			return err
		}
	}
	_, err = m.eng.Do(ctx, atengine.Command{
		Line: data, Prompt: "DOWNLOAD", Data: []byte(body),
		Timeout: m.o.Timeouts.Command + m.wireTime(len(body)),
	})
	if _, no := refusal(err); no {
		if failed := m.eng.Resync(ctx); failed != nil { // it may ask for the data all the same
			return failed
		}
	}
	return err
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
	m.expect(HTTPAction)
	defer m.expect()
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
// module keeps it until HTTPTERM. They may have taken the OK with them, or left a
// body that spells one standing.
func (m *Modem) httpRead(ctx context.Context) (body []byte, err error) {
	for range readTries {
		var block []byte
		since := m.eng.Mark()
		block, err = m.ask(ctx, "AT+HTTPREAD", m.o.Timeouts.Command, httpReadAnswer())
		if err == nil {
			body, err = parseHTTPRead(block)
		}
		switch {
		case errors.Is(err, ErrMalformed):
		case errors.Is(err, atengine.ErrTimeout) && m.doubted(since):
			if failed := m.eng.Resync(ctx); failed != nil {
				return nil, failed
			}
		default:
			return body, err
		}
		m.log.Warn("bytes of an HTTPS answer were lost on the serial line", zap.Error(err))
	}
	return nil, err
}
