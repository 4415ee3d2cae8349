package airsim

import (
	"strings"
	"testing"
	"time"

	"airbridged/internal/airsim/simcloud"
)

// The header's blank after the colon is required, and the method is POST.
func TestTheHeaderNeedsItsBlank(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "2g"}, func(r *rig) {
		r.quiet()
		r.bearer()
		if got := r.postWith(authURL, "Content-Type:application/x-www-form-urlencoded", guideAuth); !strings.Contains(got, `{"code":460,`) {
			t.Errorf("without the blank: %q", got)
		}
		if got := r.postWith(authURL, "Content-type: application/x-www-form-urlencoded;charset=utf-8", guideAuth); !strings.Contains(got, `{"code":200,`) {
			t.Errorf("in another spelling: %q", got)
		}
		r.ask("AT+HTTPINIT\r" + `AT+HTTPPARA="URL","` + authURL + `"` + "\r")
		r.expect("AT+HTTPACTION=0\r", okay+"\r\n+HTTPACTION: 0,405,48\r\n")
		r.expect("AT+HTTPINIT\r", "\r\nERROR\r\n")
		r.expect("AT+HTTPREAD=0,6\r", "\r\n+HTTPREAD: 6\r\n<html>\r\nOK\r\n")
		r.expect("AT+HTTPREAD=42,100\r", "\r\n+HTTPREAD: 6\r\n/html>\r\nOK\r\n")
		r.expect("AT+HTTPREAD=49,1\r", "\r\nERROR\r\n")
	})
}

// A secret is given again until the device has connected.
func TestRegistrationWorksOnce(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.quiet()
		r.bearer()
		code := func(want string) {
			t.Helper()
			if got := r.post(registerURL, guideRegister); !strings.Contains(got, want) {
				t.Errorf("got %q, want %s", got, want)
			}
		}
		code(`{"code":200,`)
		code(`{"code":200,`)
		r.ask(directConfig + "\r" + guideStart + "\r")
		r.expect("AT+MCONNECT=1,300\r", okay+"\r\nCONNACK OK\r\n")
		code(`{"code":6289,"message":"device is already active"}`)
	})
}

// A token lives as long as it is said to; then the login is refused.
func TestTokenLife(t *testing.T) {
	o := simcloud.GuideOptions()
	o.TokenLife = time.Hour
	simulate(t, o, Options{Personality: "air780ep"}, func(r *rig) {
		r.quiet()
		r.bearer()
		r.post(authURL, guideAuth)
		r.ask(tokenConfig + "\r")
		r.reconnect()
		r.wait(59 * time.Minute)
		r.reconnect()
		r.wait(2 * time.Minute)
		r.expect("AT+MQTTSTATU\r", "\r\n+MQTTSTATU :1\r\n"+okay) // the session stays
		r.ask("AT+MIPCLOSE\r" + guideStart + "\r")
		r.expect("AT+MCONNECT=1,300\r", "\r\nERROR\r\n")
	})
}
