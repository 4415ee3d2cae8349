package air

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
)

// What a person who looks for a fault asks, and the session does not.

// Bearer says whether the data bearer is open (SAPBR=2,1). It opens nothing.
func (m *Modem) Bearer(ctx context.Context) (bool, error) {
	line, err := m.ask(ctx, "AT+SAPBR=2,1", m.o.Timeouts.Command, named("+SAPBR"))
	if _, no := refusal(err); no {
		return false, nil // 2G firmware refuses the question while it is closed
	}
	if err != nil {
		return false, err
	}
	b, err := parseBearer(line)
	return b.up(), err
}

// Echo switches the echo of commands on or off, as it was found.
func (m *Modem) Echo(ctx context.Context, on bool) error {
	return m.tell(ctx, m.command("ATE"+flag(on)))
}

// Resolve asks the network for the address of a host name (AT+CDNSGIP), which
// takes the bearer of [Modem.OpenSocketBearer]. It returns [ErrNoSuchName] when
// the network has no answer.
func (m *Modem) Resolve(ctx context.Context, host string) (netip.Addr, error) {
	line, err := command("AT+CDNSGIP").quoted("host", host, 1, maxHost).build()
	if err != nil {
		return netip.Addr{}, err
	}
	reply, err := m.do(ctx, line)
	if err != nil {
		return netip.Addr{}, err
	}
	urc, _, err := m.await(ctx, reply.Mark, m.o.Timeouts.Connect, "+CDNSGIP", []EventKind{NameAnswer}, nil)
	if err != nil {
		return netip.Addr{}, err
	}
	return parseNameAnswer([]byte(urc.Text))
}

// parseNameAnswer reads `+CDNSGIP: 1,"host","203.0.113.7"`, with more addresses
// behind the first or not, and `+CDNSGIP: 0,8`.
func parseNameAnswer(line []byte) (netip.Addr, error) {
	rest, ok := answer(line, "+CDNSGIP")
	fields := bytes.Split(rest, []byte{','})
	switch {
	case !ok || len(fields) < 2:
		return netip.Addr{}, malformed("AT+CDNSGIP")
	case string(fields[0]) == "0":
		return netip.Addr{}, fmt.Errorf("%w (error %s)", ErrNoSuchName, printable(fields[1]))
	case string(fields[0]) != "1" || len(fields) < 3:
		return netip.Addr{}, malformed("AT+CDNSGIP")
	}
	return parseAddress(unquote(fields[2]))
}

// Refused says whether an error is a plain no of the module: it knows the command
// and will not, or does not know it.
func Refused(err error) bool {
	_, no := refusal(err)
	return no
}

// RadioOn says whether the radio is switched on (AT+CFUN?): without it there is
// neither SIM nor network. A module that does not tell is taken to be on.
func (m *Modem) RadioOn(ctx context.Context) (bool, error) {
	line, err := m.ask(ctx, "AT+CFUN?", m.o.Timeouts.Command, named("+CFUN"))
	if _, no := refusal(err); no {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	rest, _ := answer(line, "+CFUN")
	mode, err := between(rest, 0, 7)
	return mode == 1, err
}
