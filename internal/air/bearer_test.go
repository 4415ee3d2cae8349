package air

import (
	"errors"
	"strings"
	"testing"
	"time"

	"airbridged/internal/atengine"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

func TestSIM(t *testing.T) {
	for _, c := range []struct {
		answer string
		want   error
	}{
		{"+CPIN: READY", nil},
		{"+CPIN: SIM PIN", ErrSIMLocked},
		{"+CPIN: NOT INSERTED", ErrNoSIM},
		{"+CPIN: NOT READY", ErrSIMBusy},
		{"+CME ERROR: 10", ErrNoSIM},
		{"+CME ERROR: 11", ErrSIMLocked},
		{"+CME ERROR: 12", ErrSIMLocked},
		{"+CME ERROR: 13", ErrSIMFailed},
		{"+CME ERROR: 14", ErrSIMBusy},
		{"+CME ERROR: 15", ErrSIMFailed},
		{"+CME ERROR: 40", ErrSIMLocked},
		{"+CME ERROR: 4", ErrSIMBusy},
		{"+CME ERROR: SIM busy", ErrSIMBusy}, // AT+CMEE=2, kept by somebody
		{"+CME ERROR: SIM not inserted", ErrNoSIM},
		{"+CME ERROR: SIM PIN required", ErrSIMLocked},
		{"+CME ERROR: operation not supported", ErrSIMBusy},
		{"+CME ERROR: words nobody knows", ErrSIMFailed},
		{"ERROR", ErrNoSIM},
		{"+CPIN: SIM PUK", ErrSIMLocked},
		{"+CPIN: PH-NET PIN", ErrSIMLocked},
		{"+CPIN: SIM FAILURE", ErrSIMFailed},
		{"+CPIN: REA", ErrMalformed},
		{"+CPIN: 8f2k,\"x\"", ErrMalformed},
		{"+CPIN: ", ErrMalformed},
	} {
		answers := []string{c.answer}
		if strings.HasPrefix(c.answer, "+CPIN") {
			answers = []string{"+CPIN: SIM REMOVED 0", c.answer, "+CPIN: READY 0", "OK"} // with URCs of the same name around it
		}
		play(t, Options{}, script(on("AT+CPIN?", answers...)), func(b *bench) {
			if err := b.SIM(b.ctx); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.answer, err, c.want)
			}
		})
	}
	play(t, Options{}, script(on("AT+CPIN?", "+CME ERROR: 100")), func(b *bench) {
		if code, no := refusal(b.SIM(b.ctx)); !no || code != 100 {
			t.Errorf("an unknown error must stay what it is, got code %d", code)
		}
	})
}

// A PUK is no PIN: the advice for the one costs a card where it is taken for the other's.
func TestSIMTellsWhatItWants(t *testing.T) {
	for answer, advice := range map[string]string{
		"+CPIN: SIM PIN": "wants its PIN", "+CME ERROR: 11": "wants its PIN",
		"+CPIN: SIM PUK": "PUK that the operator has", "+CME ERROR: 12": "PUK that the operator has",
		"+CPIN: SIM PUK2": "second PIN", "+CPIN: PH-SIM PIN": "locked to another card", "+CPIN: PH-NET PIN": "other operators' cards",
		"+CPIN: BLOCKED": "replace the card", "+CME ERROR: 13": "", "+CPIN: NOT INSERTED": "",
	} {
		answers := []string{answer}
		said := answer
		if rest, ok := strings.CutPrefix(answer, "+CPIN: "); ok {
			answers, said = append(answers, "OK"), rest
		}
		play(t, Options{}, script(on("AT+CPIN?", answers...)), func(b *bench) {
			var sim *SIMError
			if err := b.SIM(b.ctx); !errors.As(err, &sim) || sim.Said != said || !contains(sim.Advice, advice) || (advice == "") != (sim.Advice == "") {
				t.Errorf("%s: %#v", answer, err)
			}
		})
	}
}

func TestSignalOperatorAttached(t *testing.T) {
	play(t, Options{}, script(
		on("AT+CSQ", "+CSQ: 29,99", "OK"), on("AT+CSQ", "+CSQ: 99,99", "OK"), on("AT+CSQ", "+CSQ: 2", "OK"), on("AT+CSQ", "OK"),
		on("AT+COPS?", `+COPS: 0,0,"CHINA MOBILE",7`, "OK"), on("AT+COPS?", "+COPS: 0", "OK"),
		on("AT+CGATT?", "+CGATT: 0", "OK"), on("AT+CGATT?", "+CGATT: 7", "OK"),
		on("AT+CGATT=1", "OK"), on("AT+CGATT=1", "+CME ERROR: 30"),
	), func(b *bench) {
		if dbm, err := b.Signal(b.ctx); err != nil || dbm == nil || *dbm != -55 {
			t.Errorf("signal %v, %v", dbm, err)
		}
		if dbm, err := b.Signal(b.ctx); err != nil || dbm != nil {
			t.Errorf("unknown signal %v, %v", dbm, err)
		}
		for range 2 {
			if dbm, err := b.Signal(b.ctx); !errors.Is(err, ErrMalformed) {
				t.Errorf("broken answer: %v, %v", dbm, err)
			}
		}
		if name, err := b.Operator(b.ctx); err != nil || name != "CHINA MOBILE" {
			t.Errorf("operator %q, %v", name, err)
		}
		if name, err := b.Operator(b.ctx); err != nil || name != "" {
			t.Errorf("no operator: %q, %v", name, err)
		}
		if attached, err := b.Attached(b.ctx); err != nil || attached {
			t.Errorf("attached %v, %v", attached, err)
		}
		if _, err := b.Attached(b.ctx); !errors.Is(err, ErrMalformed) {
			t.Errorf("broken answer: %v", err)
		}
		if err := b.Attach(b.ctx); err != nil {
			t.Errorf("attach: %v", err)
		}
		if err := b.Attach(b.ctx); !errors.Is(err, atengine.ErrRefused) {
			t.Errorf("attach without a network: %v", err)
		}
	})
}

// P13 with the engine: both shapes inside one AT+CEREG?, the 780EPV's wrong name,
// and a module without LTE.
func TestP13Registered(t *testing.T) {
	for name, c := range map[string]struct {
		script []exchange
		want   bool
	}{
		"URC first":    {script(on("AT+CEREG?", "+CEREG: 2", "+CEREG: 0,1", "OK")), true},
		"URC last":     {script(on("AT+CEREG?", "+CEREG: 0,2", `+CEREG: 1,"1863","01a2c315",7`, "OK")), false},
		"wrong name":   {script(on("AT+CEREG?", "+CGREG: 0,5", "OK")), true},
		"without LTE":  {script(on("AT+CEREG?", "ERROR"), on("AT+CREG?", "+CREG: 0,1", "OK")), true},
		"denied":       {script(on("AT+CEREG?", "+CEREG: 0,3", "OK")), false},
		"broken quote": {script(on("AT+CEREG?", `+CREG: 2,1,"0B,"0100701",7`, "OK")), true},
	} {
		play(t, Options{}, c.script, func(b *bench) {
			if got, err := b.NetworkState(b.ctx); err != nil || got.Registered() != c.want {
				t.Errorf("%s: %v, %v", name, got, err)
			}
		})
	}
	play(t, Options{}, script(on("AT+CEREG?", "+CEREG: 1", "OK")), func(b *bench) {
		if _, err := b.NetworkState(b.ctx); !errors.Is(err, ErrMalformed) {
			t.Errorf("only a URC came, got %v", err)
		}
	})
}

// What the network said is told as it said it: a denial is none of a search, and the
// reason is there where the module tells it.
func TestNetworkStateInWords(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]struct {
		words          string
		denied, partly bool
	}{
		"+CEREG: 0,0":                  {words: "+CEREG: 0, not registered, and not searching"},
		"+CEREG: 0,2":                  {words: "+CEREG: 2, not registered, searching"},
		"+CEREG: 0,3":                  {words: "+CEREG: 3, registration denied", denied: true},
		"+CREG: 0,3":                   {words: "+CREG: 3, registration denied", denied: true},
		"+CEREG: 0,4":                  {words: "+CEREG: 4, unknown", partly: true},
		"+CEREG: 0,6":                  {words: "+CEREG: 6, registered for SMS only, home network", partly: true},
		"+CEREG: 0,7":                  {words: "+CEREG: 7, registered for SMS only, roaming", partly: true},
		"+CEREG: 0,8":                  {words: "+CEREG: 8, emergency calls only", partly: true},
		"+CEREG: 3,3,,,,0,15":          {words: "+CEREG: 3, registration denied; the network's reason: 15, no suitable cell in this area", denied: true},
		"+CEREG: 3,3,,,,0,99":          {words: "+CEREG: 3, registration denied; the network's reason: 99", denied: true},
		"+CEREG: 3,3,,,,1,15":          {words: "+CEREG: 3, registration denied", denied: true},
		`+CGREG: 2,5,"2797","02B8",7`:  {words: "+CGREG: 5, registered, roaming"},
		`+CREG: 2,1,"0B,"0100701",7`:   {words: "+CREG: 1, registered, home network"},
		`+CEREG: 3,1,"1863","01a2",,,`: {words: "+CEREG: 1, registered, home network"},
	} {
		state, err := parseRegistration([]byte(answer))
		if err != nil || state.String() != want.words || state.Denied() != want.denied || state.Partly() != want.partly {
			t.Errorf("%s: %q, denied %v, partly %v, %v", answer, state, state.Denied(), state.Partly(), err)
		}
	}
}

func TestOpenBearer(t *testing.T) {
	set := ok(`AT+SAPBR=3,1,"CONTYPE","GPRS"`, `AT+SAPBR=3,1,"APN","CMIOT"`)
	for name, c := range map[string]struct {
		script []exchange
		want   error
	}{
		"opens":            {script(set, ok("AT+SAPBR=1,1"), on("AT+SAPBR=2,1", `+SAPBR: 1,1,"10.159.1.145"`, "OK")), nil},
		"open already":     {script(set, on("AT+SAPBR=1,1", "+CME ERROR: 3"), on("AT+SAPBR=2,1", "+SAPBR: 1,1,010.169.179.213", "OK")), nil},
		"all refused, up":  {script(refuse(`AT+SAPBR=3,1,"CONTYPE","GPRS"`, `AT+SAPBR=3,1,"APN","CMIOT"`, "AT+SAPBR=1,1"), on("AT+SAPBR=2,1", "+SAPBR: 1,1,10.0.0.1", "OK")), nil},
		"refused":          {script(set, on("AT+SAPBR=1,1", "+CME ERROR: 148"), on("AT+SAPBR=2,1", "+SAPBR: 1,3,000.000.000.000", "OK")), ErrBearer},
		"OK but closed":    {script(set, ok("AT+SAPBR=1,1"), on("AT+SAPBR=2,1", `+SAPBR: 1,3,"0.0.0.0"`, "OK")), ErrBearer},
		"up, no address":   {script(set, ok("AT+SAPBR=1,1"), on("AT+SAPBR=2,1", `+SAPBR: 1,1,"0.0.0.0"`, "OK")), ErrBearer},
		"state refused":    {script(set, ok("AT+SAPBR=1,1"), on("AT+SAPBR=2,1", "ERROR")), ErrBearer},
		"state malformed":  {script(set, ok("AT+SAPBR=1,1"), on("AT+SAPBR=2,1", "+SAPBR: 1,1", "OK")), ErrMalformed},
		"connecting first": {script(set, ok("AT+SAPBR=1,1"), on("AT+SAPBR=2,1", "+SAPBR: 1,0,0.0.0.0", "OK"), on("AT+SAPBR=2,1", "+SAPBR: 1,1,10.0.0.1", "OK")), nil},
		"DEACT is a URC":   {script(set, ok("AT+SAPBR=1,1"), on("AT+SAPBR=2,1", "+SAPBR 1: DEACT", "+SAPBR: 1,3,0.0.0.0", "OK")), ErrBearer},
		"silence":          {script(set, on("AT+SAPBR=1,1", "~108s")), atengine.ErrTimeout},
	} {
		play(t, Options{}, c.script, func(b *bench) {
			if err := b.OpenBearer(b.ctx, AccessPoint{Name: "CMIOT"}); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		})
	}
	play(t, Options{}, nil, func(b *bench) {
		if err := b.OpenBearer(b.ctx, AccessPoint{Name: `C"M`}); !errors.Is(err, atengine.ErrUnsafe) {
			t.Errorf("got %v", err)
		}
	})
}

// A bearer that never gets beyond connecting is given up after the bearer time-out.
func TestOpenBearerStuckConnecting(t *testing.T) {
	exchanges := script(ok(`AT+SAPBR=3,1,"CONTYPE","GPRS"`, `AT+SAPBR=3,1,"APN",""`, "AT+SAPBR=1,1"))
	for range 7 {
		exchanges = append(exchanges, on("AT+SAPBR=2,1", "+SAPBR: 1,0,0.0.0.0", "OK"))
	}
	play(t, Options{Timeouts: Timeouts{Bearer: 5500 * time.Millisecond}}, exchanges, func(b *bench) {
		if err := b.OpenBearer(b.ctx, AccessPoint{Name: ""}); !errors.Is(err, ErrBearer) {
			t.Errorf("got %v", err)
		}
	})
}

// CIPSHUT ends with SHUT OK or OK; what is refused was closed already.
func TestCloseBearer(t *testing.T) {
	for _, exchanges := range [][]exchange{
		script(ok("AT+SAPBR=0,1"), on("AT+CIPSHUT", "SHUT OK")),
		script(on("AT+SAPBR=0,1", "+CME ERROR: 3"), ok("AT+CIPSHUT")),
		script(refuse("AT+SAPBR=0,1", "AT+CIPSHUT")),
	} {
		play(t, Options{}, exchanges, func(b *bench) { b.ok(b.CloseBearer(b.ctx)) })
	}
	play(t, Options{}, script(on("AT+SAPBR=0,1")), func(b *bench) {
		if err := b.CloseBearer(b.ctx); !errors.Is(err, atengine.ErrTimeout) {
			t.Errorf("silence gives %v", err)
		}
	})
}

func TestOpenSocketBearer(t *testing.T) {
	play(t, Options{}, script(ok(`AT+CSTT="CMNET"`, "AT+CIICR"), on("AT+CIFSR", "10.169.179.213")), func(b *bench) {
		b.ok(b.OpenSocketBearer(b.ctx, AccessPoint{Name: "CMNET"}))
	})
	play(t, Options{}, script(on(`AT+CSTT="CMNET"`, "+CME ERROR: 3"), on("AT+CIICR", "+CME ERROR: 3"), on("AT+CIFSR", "010.169.179.213")), func(b *bench) {
		b.ok(b.OpenSocketBearer(b.ctx, AccessPoint{Name: "CMNET"}))
	})
	play(t, Options{}, script(ok(`AT+CSTT="CMNET"`), on("AT+CIICR", "+PDP: DEACT", "+CME ERROR: 65535"), on("AT+CIFSR", "ERROR")), func(b *bench) {
		if err := b.OpenSocketBearer(b.ctx, AccessPoint{Name: "CMNET"}); !errors.Is(err, ErrBearer) {
			t.Errorf("got %v", err)
		}
	})
}

func TestRadioAndReset(t *testing.T) {
	play(t, Options{}, script(on("AT+CFUN=0", "+CGEV: ME PDN DEACT 1", "~20s", "OK"), ok("AT+CFUN=1"), ok("AT+RESET")), func(b *bench) {
		b.ok(b.Radio(b.ctx, false))
		b.ok(b.Radio(b.ctx, true))
		b.ok(b.Reset(b.ctx))
	})
	play(t, Options{}, script(on("AT+RESET", "ERROR"), on("AT+CFUN=1,1", `raw:^boot.rom'v'!\n`, "raw:\r\nRDY\r\n")), func(b *bench) {
		b.ok(b.Reset(b.ctx))
		if b.InSync() {
			t.Error("a module that started anew must be resynced first")
		}
	})
	play(t, Options{}, script(on("AT+RESET")), func(b *bench) {
		if err := b.Reset(b.ctx); !errors.Is(err, atengine.ErrTimeout) {
			t.Errorf("got %v", err)
		}
	})
}
