package air

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestBearerIsAskedAndNotOpened(t *testing.T) {
	for _, c := range []struct {
		answers []string
		up, bad bool
	}{
		{[]string{`+SAPBR: 1,1,"10.1.2.3"`, "OK"}, true, false},
		{[]string{"+SAPBR: 1,1,010.001.002.003", "OK"}, true, false},
		{[]string{`+SAPBR: 1,3,""`, "OK"}, false, false},
		{[]string{"+SAPBR: 1,1,0.0.0.0", "OK"}, false, false},
		{[]string{"ERROR"}, false, false},
		{[]string{"+SAPBR: 1", "OK"}, false, true},
	} {
		play(t, Options{}, script(on("AT+SAPBR=2,1", c.answers...)), func(b *bench) {
			up, err := b.Bearer(b.ctx)
			if up != c.up || (err != nil) != c.bad {
				t.Errorf("%q: %v, %v", c.answers, up, err)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []string
		address string
		err     error
	}{
		{"answer", []string{"OK", "~2s", `+CDNSGIP: 1,"a.example","203.0.113.7","203.0.113.8"`}, "203.0.113.7", nil},
		{"no such name", []string{"OK", "+CDNSGIP: 0,8"}, "", ErrNoSuchName},
		{"nonsense", []string{"OK", "+CDNSGIP: 1"}, "", ErrMalformed},
		{"strange address", []string{"OK", `+CDNSGIP: 1,"a.example","nowhere"`}, "", ErrMalformed},
	} {
		play(t, Options{}, script(on(`AT+CDNSGIP="a.example"`, c.answers...)), func(b *bench) {
			address, err := b.Resolve(b.ctx, "a.example")
			if !errors.Is(err, c.err) || err == nil && address.String() != c.address {
				t.Errorf("%s: %v, %v", c.name, address, err)
			}
		})
	}
	play(t, Options{}, script(on(`AT+CDNSGIP="a.example"`, "+CME ERROR: 3")), func(b *bench) {
		if _, err := b.Resolve(b.ctx, "a.example"); !Refused(err) {
			t.Errorf("without a bearer: %v", err)
		}
	})
	play(t, Options{Timeouts: Timeouts{Connect: time.Second}}, script(on(`AT+CDNSGIP="a.example"`, "OK")), func(b *bench) {
		if _, err := b.Resolve(b.ctx, "a.example"); err == nil || Refused(err) {
			t.Errorf("never answered: %v", err)
		}
	})
	play(t, Options{}, nil, func(b *bench) {
		if _, err := b.Resolve(b.ctx, "a\rAT+CFUN=0"); err == nil || strings.Contains(err.Error(), "CFUN") {
			t.Errorf("a name with a command in it: %v", err)
		}
	})
}

func TestEchoIsPutBack(t *testing.T) {
	play(t, Options{}, ok("ATE0", "ATE1"), func(b *bench) {
		for _, on := range []bool{false, true} {
			if err := b.Echo(b.ctx, on); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestRadioOn(t *testing.T) {
	for _, c := range []struct {
		answers []string
		on, bad bool
	}{
		{[]string{"+CFUN: 1", "OK"}, true, false},
		{[]string{"+CFUN: 0", "OK"}, false, false},
		{[]string{"+CFUN: 4", "OK"}, false, false},
		{[]string{"ERROR"}, true, false},
		{[]string{"+CFUN: x", "OK"}, false, true},
	} {
		play(t, Options{}, script(on("AT+CFUN?", c.answers...)), func(b *bench) {
			if on, err := b.RadioOn(b.ctx); on != c.on || (err != nil) != c.bad {
				t.Errorf("%q: %v, %v", c.answers, on, err)
			}
		})
	}
}
