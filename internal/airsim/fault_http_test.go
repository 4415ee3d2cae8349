package airsim

import (
	"strings"
	"time"
)

func httpCases() map[string]faultCase {
	return map[string]faultCase{
		"http-status": off(func(r *rig) {
			r.bearer()
			for _, status := range []string{"601", "602", "603", "604", "605", "606"} {
				r.do("http-status " + status)
				r.ask("AT+HTTPINIT\r" + `AT+HTTPPARA="URL","https://iot-auth.cn-shanghai.aliyuncs.com/auth/devicename"` + "\r")
				r.expect("AT+HTTPACTION=1\r", okay+"\r\n+HTTPACTION: 1,"+status+",0\r\n")
				r.expect("AT+HTTPTERM\r", okay)
			}
		}),
		"http-body": off(func(r *rig) {
			r.bearer()
			r.do(`http-body "{\r\nOK\r\n}"`)
			if got := r.post(authURL, guideAuth); got != okay+"\r\n+HTTPACTION: 1,200,8\r\n\r\n+HTTPREAD: 8\r\n{\r\nOK\r\n}\r\nOK\r\n" {
				r.t.Errorf("got %q", got)
			}
		}),
		"http-lie": off(func(r *rig) {
			r.bearer()
			r.do("http-lie 9")
			if got := r.post(authURL, guideAuth); !strings.Contains(got, "+HTTPACTION: 1,200,128\r\n\r\n+HTTPREAD: 137\r\n{") {
				r.t.Errorf("got %q", got)
			}
		}),
		"http-never": off(func(r *rig) {
			r.bearer()
			r.do("http-never")
			r.ask("AT+HTTPINIT\r" + `AT+HTTPPARA="URL","https://iot-auth.cn-shanghai.aliyuncs.com/auth/devicename"` + "\r")
			r.expect("AT+HTTPACTION=1\r", okay)
			r.wait(time.Hour)
			r.expect("", "")
			r.expect("AT+HTTPTERM\r", okay)
		}),
	}
}
