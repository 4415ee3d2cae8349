package air

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"airbridged/internal/atengine"
	"airbridged/internal/secret"
)

// AccessPoint is an access point of a network, and the login that it wants.
type AccessPoint struct {
	Name     string // at most 50 characters; empty: the network chooses
	User     string // empty: it wants no login
	Password secret.Text
	Auth     AccessAuth
}

// AccessAuth is how an access point asks for the login. The numbers are those of
// CPNETAPN and of CGAUTH (3GPP TS 27.007 section 10.1.31).
type AccessAuth int

// The ways.
const (
	NoAuth AccessAuth = 0
	PAP    AccessAuth = 1
	CHAP   AccessAuth = 2
)

// AccessAuthOf reads "none", "pap" or "chap".
func AccessAuthOf(word string) AccessAuth {
	switch word {
	case "pap":
		return PAP
	case "chap":
		return CHAP
	}
	return NoAuth
}

// ErrAPNRefused: the module has no command that sets the access point of its default
// context, or refuses this one.
var ErrAPNRefused = errors.New("the module does not take the access point of its default context")

// SetsDefaultAPN says whether MQTT, HTTP and sockets of a firmware run in the default
// context that the network opens when the module attaches, so that SAPBR does not set
// their access point.
func SetsDefaultAPN(firmware string) bool { return moduleOf(firmware).APN != "" }

// SetDefaultAPN sets the access point of the default context for good: AT+CPNETAPN=2,
// which saves it and restarts the data session; CGDCONT and CGAUTH where that is not
// known. While nothing was ever saved by CPNETAPN, newer firmware ignores CGDCONT (public
// notes), so the first comes first. It returns [ErrAPNRefused] where neither is taken.
func (m *Modem) SetDefaultAPN(ctx context.Context, a AccessPoint) error {
	line, err := cpnetapnLine(a)
	if err != nil {
		return err
	}
	_, err = m.eng.Do(ctx, atengine.Command{Line: line, Timeout: m.o.Timeouts.Bearer})
	if _, no := refusal(err); !no {
		return err
	}
	refused := err
	lines, err := contextLines(a)
	if err != nil {
		return err
	}
	for _, line := range lines {
		_, err := m.eng.Do(ctx, atengine.Command{Line: line, Timeout: m.o.Timeouts.Bearer})
		if _, no := refusal(err); no {
			return fmt.Errorf("%w (%w)", ErrAPNRefused, errors.Join(refused, err))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

const (
	maxAPNUser     = 64
	maxAPNPassword = 64
)

// cpnetapnLine: AT+CPNETAPN=2,<apn>,<user>,<password>,<auth>. 2 saves it over restarts
// and has it at once.
func cpnetapnLine(a AccessPoint) (string, error) {
	return command("AT+CPNETAPN").fixed("2").quoted("apn", a.Name, 0, maxAPN).quoted("user", a.User, 0, maxAPNUser).
		hidden("password", a.Password, maxAPNPassword).number("auth", int(a.Auth), 0, 2).build()
}

// contextLines: AT+CGDCONT=1,"IP",<apn>, and AT+CGAUTH=1,<auth>,<user>,<password> where
// there is a login.
func contextLines(a AccessPoint) ([]string, error) {
	define, err := command("AT+CGDCONT").fixed(strconv.Itoa(defaultContext)).fixed(`"IP"`).quoted("apn", a.Name, 0, maxAPN).build()
	if err != nil || a.User == "" {
		return []string{define}, err
	}
	login, err := command("AT+CGAUTH").fixed(strconv.Itoa(defaultContext)).number("auth", int(a.Auth), 0, 2).
		quoted("user", a.User, 0, maxAPNUser).hidden("password", a.Password, maxAPNPassword).build()
	return []string{define, login}, err
}

// bearerLogin: AT+SAPBR=3,1,"USER",<user> and "PWD": the login of the bearer that
// SAPBR opens.
func bearerLogin(a AccessPoint) ([]string, error) {
	if a.User == "" {
		return nil, nil
	}
	user, err := command("AT+SAPBR").fixed("3").fixed("1").fixed(`"USER"`).quoted("user", a.User, 0, maxAPNUser).build()
	if err != nil {
		return nil, err
	}
	password, err := command("AT+SAPBR").fixed("3").fixed("1").fixed(`"PWD"`).hidden("password", a.Password, maxAPNPassword).build()
	return []string{user, password}, err
}
