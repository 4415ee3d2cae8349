package airsim

import "fmt"

// The guide's two requests, byte for byte.
const (
	registerURL   = "https://iot-auth.cn-shanghai.aliyuncs.com/auth/register/device"
	authURL       = "https://iot-auth.cn-shanghai.aliyuncs.com/auth/devicename"
	guideRegister = "productKey=b1KCi45LcCP&deviceName=862991419835241&random=123456&sign=1770d38260cc980dbc4337ed7fe1e8de&signMethod=HmacMD5"
	guideAuth     = "productKey=b1KCi45LcCP&sign=70e7bb641d7566ad26a305dd20e8e261&clientId=862991419835241&deviceName=862991419835241"
	tokenConfig   = `AT+MCONFIG="862991419835241","PbUqGh2URAj1AtNyyd7X00107ceb00","425656f625b64560a4bff2a0f16946a3"`
	formHeader    = "Content-Type: application/x-www-form-urlencoded"
)

// post carries one request through the module and returns the +HTTPACTION line
// and what HTTPREAD printed.
func (r *rig) post(url, body string) string { return r.postWith(url, formHeader, body) }

func (r *rig) postWith(url, header, body string) string {
	r.t.Helper()
	r.ask("AT+HTTPINIT\r" + `AT+HTTPPARA="URL","` + url + `"` + "\r" + `AT+HTTPPARA="USER_DEFINED","` + header + `"` + "\r")
	r.expect(fmt.Sprintf("AT+HTTPDATA=%d,20000\r", len(body)), "\r\nDOWNLOAD\r\n")
	r.expect(body, okay)
	got := r.ask("AT+HTTPACTION=1\r") + r.ask("AT+HTTPREAD\r")
	r.expect("AT+HTTPTERM\r", okay)
	return got
}
