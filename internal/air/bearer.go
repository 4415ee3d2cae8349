package air

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airbridged/internal/atengine"
)

// radioQuestion is how long the module may take to tell the state of SIM and
// network. The manual's 108 s and more are for changing it; a module that restarts
// under a question is not waited for as long as that.
func (m *Modem) radioQuestion() time.Duration { return min(30*time.Second, m.o.Timeouts.Bearer) }

// Signal returns the signal strength in dBm, nil when the module does not know.
func (m *Modem) Signal(ctx context.Context) (dbm *int, err error) {
	line, err := m.ask(ctx, "AT+CSQ", m.quick(), named("+CSQ"))
	if err != nil {
		return nil, err
	}
	return parseSignal(line)
}

// Operator returns the network's name, "" while none is selected.
func (m *Modem) Operator(ctx context.Context) (string, error) {
	line, err := m.ask(ctx, "AT+COPS?", m.o.Timeouts.Bearer, named("+COPS"))
	if err != nil {
		return "", err
	}
	return parseOperator(line)
}

// Attached says whether the module is attached to packet data, which the vendor
// wants before everything else (quick guide, part 2).
func (m *Modem) Attached(ctx context.Context) (bool, error) {
	line, err := m.ask(ctx, "AT+CGATT?", m.radioQuestion(), named("+CGATT"))
	if err != nil {
		return false, err
	}
	return parseAttached(line)
}

// Attach asks the network for packet data: AT+CGATT=1, which a module that is
// registered does by itself as a rule, but not always after the network detached
// it. A refusal means that it is still not to be had.
func (m *Modem) Attach(ctx context.Context) error {
	_, err := m.eng.Do(ctx, atengine.Command{Line: "AT+CGATT=1", Timeout: m.o.Timeouts.Bearer})
	return err
}

// OpenBearer opens the data bearer (quick guide, part 2) and makes sure of it
// with SAPBR=2,1. Repeating the commands on a bearer that is open is refused by
// some firmware, so it is the bearer's state that decides, and a refusal only
// explains. An empty name lets a 4G module choose.
func (m *Modem) OpenBearer(ctx context.Context, a AccessPoint) error {
	apnCommand, err := apnLine(a.Name)
	if err != nil {
		return err
	}
	login, err := bearerLogin(a)
	if err != nil {
		return err
	}
	commands := []atengine.Command{m.command(`AT+SAPBR=3,1,"CONTYPE","GPRS"`), m.command(apnCommand)}
	for _, line := range login {
		commands = append(commands, m.command(line))
	}
	commands = append(commands, atengine.Command{Line: "AT+SAPBR=1,1", Timeout: m.o.Timeouts.Bearer})
	var refused error
	for _, c := range commands {
		_, err := m.eng.Do(ctx, c)
		if _, no := refusal(err); no {
			refused = errors.Join(refused, err)
		} else if err != nil {
			return err
		}
	}
	return m.bearerUp(ctx, refused)
}

// connectingPoll is how often a bearer that is still connecting is looked at.
const connectingPoll = time.Second

// bearerUp asks for the state of the bearer until it is decided.
func (m *Modem) bearerUp(ctx context.Context, refused error) error {
	deadline := time.Now().Add(m.o.Timeouts.Bearer)
	for {
		line, err := m.ask(ctx, "AT+SAPBR=2,1", m.o.Timeouts.Command, named("+SAPBR"))
		if _, no := refusal(err); no {
			return fmt.Errorf("%w (%w)", ErrBearer, errors.Join(refused, err))
		}
		if err != nil {
			return err
		}
		b, err := parseBearer(line)
		switch {
		case err != nil:
			return err
		case b.up():
			return nil
		case b.status != bearerConnecting || time.Now().After(deadline):
			if refused != nil {
				return fmt.Errorf("%w (%w)", ErrBearer, refused)
			}
			return fmt.Errorf("%w (its state is %d)", ErrBearer, b.status)
		}
		if err := pause(ctx, connectingPoll); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// CloseBearer closes the bearer and all sockets (vendor note on HTTP: SAPBR=0,1,
// then CIPSHUT, results ignored). What is reported is only a module that does not
// answer.
func (m *Modem) CloseBearer(ctx context.Context) error {
	if err := m.tell(ctx, atengine.Command{Line: "AT+SAPBR=0,1", Timeout: m.o.Timeouts.Bearer}); err != nil {
		return err
	}
	return m.tell(ctx, atengine.Command{Line: "AT+CIPSHUT", Final: isShutOK, Timeout: m.o.Timeouts.Bearer})
}

// isShutOK: CIPSHUT ends with SHUT OK or with OK, both are in the manual.
func isShutOK(line []byte) bool { return string(line) == "SHUT OK" }

// OpenSocketBearer opens the bearer that sockets use on some 2G firmware, where
// the one of SAPBR is not enough: CSTT, CIICR, and CIFSR, which answers a bare
// address without OK. CSTT and CIICR are refused when it is open already, so the
// address decides.
func (m *Modem) OpenSocketBearer(ctx context.Context, a AccessPoint) error {
	cstt, err := csttLine(a)
	if err != nil {
		return err
	}
	for _, line := range []string{cstt, "AT+CIICR"} {
		if err := m.tell(ctx, atengine.Command{Line: line, Timeout: m.o.Timeouts.Bearer}); err != nil {
			return err
		}
	}
	_, err = m.eng.Do(ctx, atengine.Command{Line: "AT+CIFSR", Final: isAddress, Timeout: m.o.Timeouts.Command})
	if _, no := refusal(err); no {
		return fmt.Errorf("%w (%w)", ErrBearer, err)
	}
	return err
}

// Radio switches the radio on or off: AT+CFUN=1 or 0.
func (m *Modem) Radio(ctx context.Context, on bool) error {
	line := "AT+CFUN=" + flag(on)
	_, err := m.eng.Do(ctx, atengine.Command{Line: line, Timeout: max(radioTimeout, m.o.Timeouts.Command)})
	return err
}

// Reset restarts the module: AT+RESET, or AT+CFUN=1,1 where that is not known. A
// module that starts anew instead of answering did what it was told.
func (m *Modem) Reset(ctx context.Context) error {
	_, err := m.do(ctx, "AT+RESET")
	if _, no := refusal(err); no {
		_, err = m.eng.Do(ctx, atengine.Command{Line: "AT+CFUN=1,1", Timeout: max(radioTimeout, m.o.Timeouts.Command)})
	}
	if errors.Is(err, atengine.ErrRebooted) {
		return nil
	}
	return err
}
