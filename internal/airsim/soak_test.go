package airsim

import (
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/airsim/simcloud"
)

// Hours of everything at once, for many seeds: whatever was ordered and typed,
// the simulator ends cleanly, and after clearing up the module works again.
func TestAnythingMayHappen(t *testing.T) {
	typed := []string{
		"AT\r", "ATE0\r", "AT+CSQ\r", "AT+CGATT?\r", "AT+SAPBR=1,1\r", "AT+SAPBR=0,1\r", "AT+CIPSHUT\r", "AT+HTTPINIT\r",
		`AT+HTTPPARA="URL","` + authURL + `"` + "\r", `AT+HTTPPARA="USER_DEFINED","` + formHeader + `"` + "\r",
		"AT+HTTPDATA=112,20000\r", guideAuth, "AT+HTTPACTION=1\r", "AT+HTTPREAD\r", "AT+HTTPTERM\r", directConfig + "\r", tokenConfig + "\r",
		guideStart + "\r", "AT+MCONNECT=1,300\r", subOne, pubOne, pubEx, "abc", "AT+MDISCONNECT\r", "AT+MIPCLOSE\r", "AT+MQTTSTATU\r",
		"AT+MQTTMSGSET=1\r", "AT+MQTTMSGGET\r", "AT+MQTTMODE=1\r", "AT+CFUN=0\r", "AT+CFUN=1\r", "AT+RESET\r", "AT+IPR=921600\r",
	}
	orders := []string{"service back", "sim inserted", "outage off", "push " + guideGet + " x qos=1", "on <OK closed", "on >AT+M prob=0.5 reboot", "at 3s kick"}
	for _, w := range language().Words {
		if w.Name != "unplug" { // shown elsewhere: the host would have to open again
			orders = append(orders, w.Example)
		}
	}
	names := Personalities()
	for seed := range uint64(120) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			o := Options{Personality: names[seed%uint64(len(names))], Seed: seed, Latency: seed%3 == 0, RTT: time.Duration(seed%2) * 80 * time.Millisecond}
			if seed%4 == 0 {
				o.Baud = 115200
			}
			r := start(t, simcloud.GuideOptions(), o)
			defer r.stop()
			for range 300 {
				switch n := rng.IntN(10); {
				case n == 0:
					r.do(orders[rng.IntN(len(orders))])
				case n < 3:
					r.wait(time.Duration(rng.Int64N(int64(20 * time.Second))))
				default:
					// A stalled module must not block this goroutine.
					command := []byte(typed[rng.IntN(len(typed))])
					go func() { _, _ = r.port.Write(command) }()
					synctest.Wait()
				}
			}
			r.wait(2 * time.Hour)
			for _, order := range []string{"clear", "outage off", "service back", "sim inserted", "line-ends crlf", "baud 115200 saved", "reset"} {
				r.do(order)
			}
			r.wait(time.Minute)
			r.input.take()
			r.write("\rAT\r")
			r.wait(time.Minute)
			if got := r.input.take(); !strings.HasSuffix(got, okay) {
				t.Errorf("seed %d: AT is answered by %q", seed, got)
			}
		})
	}
}
