package air

import (
	"errors"
	"strings"
	"testing"

	"airbridged/internal/atengine"
	"airbridged/internal/secret"
)

// The commands of the vendor's quick guide, without the blanks that its line
// breaks put into host and topic.
func TestCommandsOfTheGuide(t *testing.T) {
	build := func(s string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, c := range []struct{ got, want string }{
		{
			build(mconfigLine("862991419835241", "PbUqGh2URAj1AtNyyd7X00107ceb00", secret.New("425656f625b64560a4bff2a0f16946a3"))),
			`AT+MCONFIG="862991419835241","PbUqGh2URAj1AtNyyd7X00107ceb00","425656f625b64560a4bff2a0f16946a3"`,
		},
		{build(dialLine("b1KCi45LcCP.iot-as-mqtt.cn-shanghai.aliyuncs.com", 1883, true)), `AT+SSLMIPSTART="b1KCi45LcCP.iot-as-mqtt.cn-shanghai.aliyuncs.com",1883`},
		{build(dialLine("h", 65535, false)), `AT+MIPSTART="h",65535`},
		{build(mconnectLine(true, 300)), `AT+MCONNECT=1,300`},
		{build(mconnectLine(false, 65535)), `AT+MCONNECT=0,65535`},
		{build(msubLine("/b1KCi45LcCP/862991419835241/get", 0)), `AT+MSUB="/b1KCi45LcCP/862991419835241/get",0`},
		{build(munsubLine("/a/b")), `AT+MUNSUB="/a/b"`},
		{build(mpubLine("/b1KCi45LcCP/862991419835241/update", 1, []byte("test1"))), `AT+MPUB="/b1KCi45LcCP/862991419835241/update",1,0,"test1"`},
		{build(mpubLine("t", 0, nil)), `AT+MPUB="t",0,0,""`},
		{build(mpubexLine("t", 1, 4100)), `AT+MPUBEX="t",1,0,4100`},
		{build(apnLine("CMIOT")), `AT+SAPBR=3,1,"APN","CMIOT"`},
		{build(apnLine("")), `AT+SAPBR=3,1,"APN",""`},
		{build(csttLine(AccessPoint{Name: "CMNET"})), `AT+CSTT="CMNET"`},
		{build(urlLine("https://iot-auth.cn-shanghai.aliyuncs.com/auth/devicename")), `AT+HTTPPARA="URL","https://iot-auth.cn-shanghai.aliyuncs.com/auth/devicename"`},
		{build(httpDataLine(120)), `AT+HTTPDATA=120,20000`},
	} {
		if c.got != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
	}
}

// allBuilders puts one value into every argument that takes text.
func allBuilders(v string) map[string]func() (string, error) {
	return map[string]func() (string, error){
		"client id":   func() (string, error) { return mconfigLine(v, "u", secret.New("p")) },
		"user":        func() (string, error) { return mconfigLine("c", v, secret.New("p")) },
		"password":    func() (string, error) { return mconfigLine("c", "u", secret.New(v)) },
		"host":        func() (string, error) { return dialLine(v, 1, true) },
		"subscribe":   func() (string, error) { return msubLine(v, 1) },
		"unsubscribe": func() (string, error) { return munsubLine(v) },
		"topic":       func() (string, error) { return mpubLine(v, 1, []byte("x")) },
		"topic ex":    func() (string, error) { return mpubexLine(v, 1, 1) },
		"apn":         func() (string, error) { return apnLine(v) },
		"cstt":        func() (string, error) { return csttLine(AccessPoint{Name: v}) },
		"url":         func() (string, error) { return urlLine(v) },
	}
}

// P24: a CR in a topic or client id would start a new command. Nothing that could
// leave its argument is ever built, and the error does not repeat the value.
func TestP24NothingLeavesItsArgument(t *testing.T) {
	for _, evil := range []string{"\r", "\n", "\x00", "\x1a", "\x1b", `"`, `\`, "\x7f", "\t"} {
		value := "hidden" + evil + "AT+CFUN=0"
		for name, build := range allBuilders(value) {
			line, err := build()
			var e *ArgumentError
			if !errors.As(err, &e) || !errors.Is(err, atengine.ErrUnsafe) || line != "" {
				t.Errorf("%s with %q: %q, %v", name, evil, line, err)
				continue
			}
			if strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "CFUN") {
				t.Errorf("%s: the error repeats the value: %v", name, err)
			}
		}
		if err := CheckTopic(value); err == nil {
			t.Errorf("CheckTopic lets %q pass", evil)
		}
	}
}

func TestArgumentLimits(t *testing.T) {
	long := strings.Repeat("x", 257)
	for name, build := range map[string]func() (string, error){
		"no client id":       func() (string, error) { return mconfigLine("", "u", secret.New("p")) },
		"long client id":     func() (string, error) { return mconfigLine(long, "u", secret.New("p")) },
		"long user":          func() (string, error) { return mconfigLine("c", long, secret.New("p")) },
		"long password":      func() (string, error) { return mconfigLine("c", "u", secret.New(long)) },
		"no host":            func() (string, error) { return dialLine("", 1883, true) },
		"long host":          func() (string, error) { return dialLine(long[:256], 1883, true) },
		"port 0":             func() (string, error) { return dialLine("h", 0, true) },
		"port 65536":         func() (string, error) { return dialLine("h", 65536, true) },
		"negative port":      func() (string, error) { return dialLine("h", -1, true) },
		"keepalive 0":        func() (string, error) { return mconnectLine(true, 0) },
		"keepalive 65536":    func() (string, error) { return mconnectLine(true, 65536) },
		"no filter":          func() (string, error) { return msubLine("", 0) },
		"long filter":        func() (string, error) { return msubLine(long, 0) },
		"subscribe QoS 2":    func() (string, error) { return msubLine("t", 2) },
		"no topic":           func() (string, error) { return mpubLine("", 0, nil) },
		"publish QoS 2":      func() (string, error) { return mpubLine("t", 2, nil) },
		"MPUBEX of nothing":  func() (string, error) { return mpubexLine("t", 0, 0) },
		"MPUBEX of 8193":     func() (string, error) { return mpubexLine("t", 0, 8193) },
		"long APN":           func() (string, error) { return apnLine(long[:51]) },
		"no URL":             func() (string, error) { return urlLine("") },
		"long URL":           func() (string, error) { return urlLine("https://" + strings.Repeat("x", 493)) },
		"no body":            func() (string, error) { return httpDataLine(0) },
		"body of 3357 bytes": func() (string, error) { return httpDataLine(3357) },
	} {
		if line, err := build(); err == nil {
			t.Errorf("%s: built %q", name, line)
		}
	}
}

func FuzzArguments(f *testing.F) {
	for _, s := range []string{"", "/a/b", "a\"b", "a\rb", "温度", "^1^1589511374876^27f6f5a03b709fc", "a,b", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, v string) {
		quotes := map[string]int{"client id": 6, "user": 6, "password": 6, "apn": 4, "url": 4, "topic": 4}
		for name, build := range allBuilders(v) {
			line, err := build()
			if err != nil {
				if line != "" {
					t.Fatalf("%s: both %q and %v", name, line, err)
				}
				continue
			}
			if strings.ContainsAny(line, "\r\n\x00\x1a\x1b\\") {
				t.Fatalf("%s: %q", name, line)
			}
			want := quotes[name]
			if want == 0 {
				want = 2
			}
			if strings.Count(line, `"`) != want || !strings.Contains(line, `"`+v+`"`) {
				t.Fatalf("%s: %q is not one argument in %q", name, v, line)
			}
		}
	})
}
