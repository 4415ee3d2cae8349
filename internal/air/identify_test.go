package air

import (
	"context"
	"errors"
	"testing"
	"time"

	"airbridged/internal/atengine"
)

// An autobaud module hears the first ATs as noise.
func TestTrainUntilTheModuleAnswers(t *testing.T) {
	play(t, Options{}, script(on("AT"), on("AT"), on("AT", "raw:\xf8\x80\x00"), on("AT", "OK")), func(b *bench) {
		b.ok(b.Train(b.ctx, 6, 800*time.Millisecond))
		if !b.InSync() {
			t.Error("trained, but out of step")
		}
	})
}

func TestTrainGivesUp(t *testing.T) {
	play(t, Options{}, script(on("AT"), on("AT"), on("AT")), func(b *bench) {
		start := time.Now()
		err := b.Train(b.ctx, 3, 800*time.Millisecond)
		if !errors.Is(err, atengine.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took > 3*800*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

func TestTrainEndsWithItsContext(t *testing.T) {
	play(t, Options{}, script(on("AT"), on("AT")), func(b *bench) {
		ctx, cancel := context.WithTimeout(b.ctx, time.Second)
		defer cancel()
		if err := b.Train(ctx, 100, 800*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// A module that is still starting prints its banner under the AT; training goes on.
func TestTrainThroughABoot(t *testing.T) {
	play(t, Options{}, script(on("AT", `raw:^boot.rom'v'!\n`, "~300ms", "raw:\r\nRDY\r\n"), on("AT", "OK")), func(b *bench) {
		b.ok(b.Train(b.ctx, 6, 800*time.Millisecond))
	})
}

// 4G forms, an ATI fallback, and URCs of the boot in between.
func TestIdentifyForms(t *testing.T) {
	for name, c := range map[string]struct {
		script []exchange
		want   Identity
	}{
		"780EP": {script(
			ok("ATE0", "AT+CMEE=1"),
			on("AT+CGMR", `+CGMR: "AirM2M_780EP_V1007_LTE_AT"`, "OK"),
			on("AT+CGSN", "^MODE: 17,17", "862991419835241", "+CEREG: 1", "OK"),
			on("AT+CCID", "+E_UTRAN Service", `+CCID: "8986044911188033123F"`, "OK"),
		), Identity{"AirM2M_780EP_V1007_LTE_AT", "Air780EP", "862991419835241", "8986044911188033123", "", false}},
		"CGMR refused": {script(
			ok("ATE0", "AT+CMEE=1"),
			on("AT+CGMR", "+CME ERROR: 58"),
			on("ATI", "AirM2M", "Air724UG", "Revision: AirM2M_Air724UG_V409_LTE_AT", "OK"),
			on("AT+CGSN", "862991419835241", "OK"),
			on("AT+CCID", "ERROR"), // Air724 before V301833, the first time
			on("AT+ICCID", "+ICCID: 89860449111880331234", "OK"),
		), Identity{"AirM2M_Air724UG_V409_LTE_AT", "Air724UG", "862991419835241", "89860449111880331234", "", false}},
		"nothing but firmware": {script(
			on("ATE0", "ERROR"), on("AT+CMEE=1", "ERROR"),
			on("AT+CGMR", "AirM2M_780E_V1161_LTE_AT", "OK"),
			on("AT+CGSN", "12", "OK"),
			on("AT+CGSN=1", "ERROR"),
			refuse("AT+CCID", "AT+ICCID"),
		), Identity{Firmware: "AirM2M_780E_V1161_LTE_AT", Model: "Air780E", NoIMEI: `"12"`}},
		"another make is named too": {script(
			ok("ATE0", "AT+CMEE=1"),
			on("AT+CGMR", "EC20CEFAGR06A05M4G", "OK"),
			on("ATI", "Quectel", "EC20F", "OK"),
			on("AT+CGSN", "862991419835241", "OK"),
			on("AT+CCID", "+CME ERROR: 10"),
			on("AT+ICCID", "+CME ERROR: 10"),
		), Identity{Firmware: "EC20CEFAGR06A05M4G", IMEI: "862991419835241"}},
	} {
		play(t, Options{}, c.script, func(b *bench) {
			id, err := b.Identify(b.ctx)
			if err != nil || id != c.want {
				t.Errorf("%s: %+v, %v", name, id, err)
			}
		})
	}
}

// An IMEI that AT+CGSN does not tell is asked for by AT+CGSN=1, and what the module said
// instead is kept for who looks for the fault; but not what is too long to be a number.
func TestIMEI(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first, second []string
		imei, said    string
	}{
		"bare":               {first: []string{"862991419835241", "OK"}, imei: "862991419835241"},
		"an event behind it": {first: []string{"862991419835241", "$GNRMC,,V", "OK"}, imei: "862991419835241"},
		"told by the second": {first: []string{"OK"}, second: []string{`+CGSN: "862991419835241"`, "OK"}, imei: "862991419835241"},
		"zeros":              {first: []string{"000000000000000", "OK"}, second: []string{"ERROR"}, said: `"000000000000000"`},
		"ones":               {first: []string{"111111111111111", "OK"}, second: []string{"ERROR"}, said: `"111111111111111"`},
		"letters":            {first: []string{"86A991419B35241", "OK"}, second: []string{"OK"}, said: `"86A991419B35241"`},
		"14 digits":          {first: []string{"+CGSN: 86299141983524", "OK"}, second: []string{"OK"}, said: `"86299141983524"`},
		"nothing":            {first: []string{"OK"}, second: []string{"OK"}, said: "nothing but OK"},
		"an empty text":      {first: []string{`+CGSN: ""`, "OK"}, second: []string{"OK"}, said: `""`},
		"refused":            {first: []string{"+CME ERROR: 100"}, second: []string{"+CME ERROR: 4"}, said: "+CME ERROR: 100"},
		"something long":     {first: []string{"mRMyB50qafv74A5FofvhxZ2h9iTL9wX8", "OK"}, second: []string{"OK"}, said: "32 characters that are no IMEI"},
	} {
		exchanges := []exchange{on("AT+CGSN", c.first...)}
		if c.second != nil {
			exchanges = append(exchanges, on("AT+CGSN=1", c.second...))
		}
		play(t, Options{}, exchanges, func(b *bench) {
			if imei, said, err := b.IMEI(b.ctx); err != nil || imei != c.imei || said != c.said {
				t.Errorf("%s: %q, said %q, %v", name, imei, said, err)
			}
		})
	}
}

// In its first seconds a module answers error 4 to everything: that is no judgement on
// what its firmware can do, nor on its IMEI.
func TestAModuleThatIsStarting(t *testing.T) {
	const early, lte = "+CME ERROR: 4", "AirM2M_780E_V1161_LTE_AT"
	for name, parts := range map[string][]exchange{
		"firmware": {on("AT+CGMR", early), on("ATI", early), on("AT+CFUN?", early)},
		"IMEI":     {on("AT+CGMR", lte, "OK"), on("AT+CGSN", early), on("AT+CFUN?", early)},
	} {
		play(t, Options{}, script(ok("ATE0", "AT+CMEE=1"), parts), func(b *bench) {
			if _, err := b.Identify(b.ctx); !errors.Is(err, ErrStarting) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	for name, parts := range map[string][]exchange{
		"TLS":    {on("AT+SSLMIPSTART=?", early), on("AT+CFUN?", early)},
		"MPUBEX": {on("AT+SSLMIPSTART=?", "OK"), on("AT+MCONFIG=?", "OK"), on("AT+MPUBEX=?", early), on("AT+CFUN?", early)},
	} {
		play(t, Options{}, parts, func(b *bench) {
			if _, err := b.Probe(b.ctx, Identity{Firmware: lte, Model: modelOf(lte)}); !errors.Is(err, ErrStarting) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

func TestIdentifyNothing(t *testing.T) {
	play(t, Options{}, script(ok("ATE0", "AT+CMEE=1", "AT+CGMR", "ATI")), func(b *bench) {
		if _, err := b.Identify(b.ctx); !errors.Is(err, ErrMalformed) {
			t.Errorf("got %v", err)
		}
	})
	play(t, Options{}, script(ok("ATE0", "AT+CMEE=1"), on("AT+CGMR")), func(b *bench) {
		if _, err := b.Identify(b.ctx); !errors.Is(err, atengine.ErrTimeout) {
			t.Errorf("got %v", err)
		}
	})
}

func TestProbe(t *testing.T) {
	const lte = "AirM2M_780E_V1161_LTE_AT"
	for name, c := range map[string]struct {
		firmware string
		script   []exchange
		want     Capabilities
		lacks    string // of an UnsupportedError
		code     int    // of a passing trouble
	}{
		"4G with everything": {
			firmware: lte,
			script: script(
				on("AT+SSLMIPSTART=?", `+SSLMIPSTART: <host>,<port>`, "OK"), on("AT+MCONFIG=?", "+MCONFIG:<clientid>", "OK"),
				ok("AT+MPUBEX=?"), on("AT+MQTTMODE?", "+MQTTMODE: 0", "OK"),
			),
			want: Capabilities{Firmware: lte, Model: "Air780E", MaxPayload: 4100, MPUBEX: true, Hex: true},
		},
		"2G by name, no questions": {
			firmware: "AirM2M_V5664_AT_S_NOTTS",
			script:   script(on("AT+MPUBEX=?", "ERROR"), ok("AT+MQTTMODE?")),
			want:     Capabilities{Firmware: "AirM2M_V5664_AT_S_NOTTS", Model: "Air2xx", MaxPayload: 1360, Assumed: true, Hex: true},
		},
		"Air724 that echoes MPUBEX data": {
			firmware: "AirM2M_720U_V301846_LTE_AT",
			script:   ok("AT+SSLMIPSTART=?", "AT+MCONFIG=?", "AT+MPUBEX=?", "AT+MQTTMODE?"),
			want:     Capabilities{Firmware: "AirM2M_720U_V301846_LTE_AT", Model: "Air720U", MaxPayload: 2348, Hex: true},
		},
		"2G without TLS":                  {firmware: "AirM2M_V5664_AT_S", lacks: "TLS"},
		"780EL without TLS":               {firmware: "AirM2M_780EL_V1006_LTE_AT_MU", lacks: "TLS"},
		"Lua":                             {firmware: "LuatOS-SoC_V1004_EC618", lacks: "AT commands"},
		"4G without TLS":                  {firmware: lte, script: refuse("AT+SSLMIPSTART=?"), lacks: "TLS"},
		"4G without MQTT":                 {firmware: lte, script: script(ok("AT+SSLMIPSTART=?"), on("AT+MCONFIG=?", "+CME ERROR: 58")), lacks: "MQTT"},
		"another make":                    {firmware: "EC20CEFAGR06A05M4G", script: script(on("AT+SSLMIPSTART=?", "+CME ERROR: 4"), on("AT+CFUN?", "+CFUN: 1", "OK")), lacks: "TLS"},
		"errors in words":                 {firmware: lte, script: script(on("AT+SSLMIPSTART=?", "+CME ERROR: SIM busy")), code: 14},
		"words nobody knows":              {firmware: lte, script: script(on("AT+SSLMIPSTART=?", "+CME ERROR: come again")), code: atengine.PlainError},
		"words that mean no":              {firmware: lte, script: script(on("AT+SSLMIPSTART=?", "+CME ERROR: operation not supported"), on("AT+CFUN?", "ERROR")), lacks: "TLS"},
		"busy right after boot, no proof": {firmware: lte, script: script(on("AT+SSLMIPSTART=?", "+CME ERROR: 14")), code: 14},
	} {
		play(t, Options{}, c.script, func(b *bench) {
			caps, err := b.Probe(b.ctx, Identity{Firmware: c.firmware, Model: modelOf(c.firmware)})
			var unsupported *UnsupportedError
			code, _ := refusal(err)
			switch {
			case c.lacks != "":
				if !errors.As(err, &unsupported) || unsupported.Firmware != c.firmware || !contains(unsupported.Reason, c.lacks) {
					t.Errorf("%s: %v", name, err)
				}
			case c.code != 0:
				if code != c.code || errors.As(err, &unsupported) {
					t.Errorf("%s: %v", name, err)
				}
			case err != nil || caps != c.want:
				t.Errorf("%s: %+v, %v", name, caps, err)
			}
		})
	}
}
