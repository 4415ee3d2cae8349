package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"airbridged/internal/air"
	"airbridged/internal/recovery"
)

// How long a module may take that was just switched on. The daemon is more
// patient with the network: the vendor grants it two minutes.
const (
	simPatience     = 10 * time.Second
	networkPatience = 45 * time.Second
	askAgain        = time.Second
)

// radio goes from the SIM to name lookup. It ends at the first check without
// which those behind it make no sense.
func (x *examination) radio(ctx context.Context, l *openedModule) {
	for _, check := range []func(context.Context, *openedModule){x.sim, x.signal, x.network, x.bearer} {
		if check(ctx, l); x.stopped != "" || ctx.Err() != nil {
			return
		}
	}
}

// until asks again and again until the answer is yes, or patience is at its end.
func until(ctx context.Context, patience time.Duration, ask func() (bool, error)) error {
	for deadline := time.Now().Add(patience); ; {
		done, err := ask()
		wait := errors.Is(err, air.ErrSIMBusy) || errors.Is(err, air.ErrSIMFailed)
		if done || err != nil && !wait || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (x *examination) sim(ctx context.Context, l *openedModule) {
	if on, err := l.RadioOn(ctx); err == nil && !on {
		x.stop(SIM, "start the daemon, which switches it on; or AT+CFUN=1", "the module's radio is switched off, so neither SIM nor network can be seen")
		return
	}
	err := until(ctx, simPatience, func() (bool, error) {
		err := l.SIM(ctx)
		return err == nil, err
	})
	var sim *air.SIMError
	switch {
	case errors.As(err, &sim) && sim.Advice != "":
		x.stop(SIM, sim.Advice, "it is locked: the module says %q", sim.Said)
	case errors.As(err, &sim):
		x.stop(SIM, recovery.SIMMissing.Hint(), "the module finds none that it can use: it says %q", sim.Said)
	case err != nil:
		x.stop(SIM, recovery.SIMMissing.Hint(), "%v", err)
	default:
		words := "ready"
		if iccid, err := l.ICCID(ctx); err == nil {
			words += ", number " + iccid
		}
		x.ok(SIM, "%s", words)
	}
}

// marginal is the level under which the vendor calls a signal marginal, AT+CSQ 11,
// in dBm (vendor FAQ: 18 and more is stable, 11 to 17 marginal).
const marginal = -91

func (x *examination) signal(ctx context.Context, l *openedModule) {
	dbm, err := l.Signal(ctx)
	if err != nil {
		x.warn(Signal, "", "the module does not tell: %v", err)
		return
	}
	x.judgeSignal(dbm)
}

// judgeSignal is for a level in dBm; nil is not known.
func (x *examination) judgeSignal(dbm *int) {
	const advice = "check that the antenna is the right one and screwed on, and move it to where it sees the sky"
	switch {
	case dbm == nil:
		x.warn(Signal, advice, "the module does not know it: no network is heard")
	case *dbm <= -113:
		x.fail(Signal, advice, "none (%d dBm or less)", *dbm)
	case *dbm < marginal:
		x.warn(Signal, advice, "weak (%d dBm): expect lost connections", *dbm)
	default:
		x.ok(Signal, "%d dBm", *dbm)
	}
}

func (x *examination) network(ctx context.Context, l *openedModule) {
	var state air.NetworkState
	attached, known := false, false
	patience := min(networkPatience, x.cfg.Cloud.Timeouts.Bearer)
	err := until(ctx, patience, func() (done bool, err error) {
		state, err = l.NetworkState(ctx)
		if known = err == nil; err != nil && !air.Undecided(err) {
			return false, err
		}
		attached, err = l.Attached(ctx)
		return attached, err // it is what the daemon goes by
	})
	switch {
	case err != nil:
		x.stop(Network, recovery.NotRegistered.Hint(), "%v", err)
	case attached && known && !state.Registered():
		x.networkTime(ctx, l)
		x.warn(Network, "nothing, while messages get through", "packet data works, though the module says %q", state)
	case attached:
		x.networkTime(ctx, l)
		words := "registered"
		if name, err := l.Operator(ctx); err == nil && name != "" {
			words += " with " + name
		}
		x.ok(Network, "%s", words)
	case known && state.Denied():
		x.stop(Network, recovery.NetworkDenied.Hint(), "the network refuses: the module says %q", state)
	case known && state.Registered():
		x.stop(Network, "check with the operator that the SIM has data and is not suspended", "registered, but not admitted to packet data (AT+CGATT) after %v", patience)
	case known:
		x.stop(Network, recovery.NotRegistered.Hint(), "no network has taken the module in after %v: it says %q", patience, state)
	default:
		x.stop(Network, recovery.NotRegistered.Hint(), "no network has taken the module in after %v", patience)
	}
}

// networkTime asks what the network says to the clock here.
func (x *examination) networkTime(ctx context.Context, l *openedModule) {
	if told, err := l.NetworkTime(ctx); err == nil && !told.IsZero() {
		x.ahead = told.Sub(x.now())
	}
}

// bearer opens the data connection if it is not open, looks names up over it, and
// closes what it opened.
func (x *examination) bearer(ctx context.Context, l *openedModule) {
	if link, err := l.Link(ctx); err == nil && link != air.LinkOffline {
		x.ok(Bearer, "open: the module still holds the MQTT connection of an earlier run")
		x.skip(Names, "a look at names could break that connection")
		return
	}
	was, err := l.Bearer(ctx)
	if err != nil {
		x.stop(Bearer, recovery.OutOfSync.Hint(), "%v", err)
		return
	}
	apn, point := x.cfg.Modem.APN, x.accessPoint()
	defer x.leaveAsItWas(ctx, l, func(ctx context.Context) error {
		err := l.CloseBearer(ctx)
		if err == nil && was {
			err = l.OpenBearer(ctx, point)
		}
		return err
	})
	if !was {
		if err := l.OpenBearer(ctx, point); err != nil {
			x.stop(Bearer, recovery.BearerFailed.Hint(), "it does not open with the APN %q: %v", apn, cause(err))
			return
		}
	}
	x.ok(Bearer, "opens with the APN %q", apn)
	x.names(ctx, l)
}

// accessPoint is what the configuration says of it.
func (x *examination) accessPoint() air.AccessPoint {
	m := x.cfg.Modem
	return air.AccessPoint{Name: m.APN, User: m.APNUser, Password: m.APNPassword, Auth: air.AccessAuthOf(m.APNAuth)}
}

// names looks up the hosts that the daemon needs.
func (x *examination) names(ctx context.Context, l *openedModule) {
	if err := l.OpenSocketBearer(ctx, x.accessPoint()); err != nil {
		x.skip(Names, "the firmware opens no bearer for it: %v", cause(err))
		return
	}
	hosts := []string{x.cfg.MQTTHost()}
	if u, err := url.Parse(x.cfg.Cloud.AuthURL()); err == nil && x.cfg.Cloud.Auth == "https" {
		hosts = append(hosts, u.Hostname())
	}
	var found, lost []string
	for _, host := range hosts {
		address, err := l.Resolve(ctx, host)
		switch {
		case err == nil:
			found = append(found, fmt.Sprintf("%s is %s", host, address))
		case air.Refused(err):
			x.skip(Names, "the firmware does not look names up by command")
			return
		case errors.Is(err, air.ErrNoSuchName):
			lost = append(lost, host)
		default:
			x.fail(Names, "try again; the network's name servers may be slow or away", "%s: %v", host, err)
			return
		}
	}
	switch {
	case len(lost) == len(hosts):
		x.fail(Names, "the network of this SIM has no working name server, or an operator's firewall is in between: check modem.apn and ask the operator",
			"none resolves: %s", strings.Join(lost, ", "))
	case len(lost) > 0:
		x.fail(Names, "check device.product_key (upper and lower case matter), cloud.region, cloud.instance and the overrides", "%s does not resolve, other names do", strings.Join(lost, ", "))
	default:
		x.ok(Names, "%s", strings.Join(found, ", "))
	}
}

// cause is what an error says behind what everybody knows: the advice of package
// air stands in the finding already.
func cause(err error) error {
	if _, detail, ok := strings.Cut(err.Error(), air.ErrBearer.Error()+" ("); ok {
		return errors.New(strings.TrimSuffix(detail, ")"))
	}
	return err
}
