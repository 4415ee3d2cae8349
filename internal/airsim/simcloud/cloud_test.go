package simcloud

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"
)

// The guide's two requests, byte for byte.
const (
	registerURL   = "https://iot-auth.cn-shanghai.aliyuncs.com/auth/register/device"
	authURL       = "https://iot-auth.cn-shanghai.aliyuncs.com/auth/devicename"
	guideRegister = "productKey=b1KCi45LcCP&deviceName=862991419835241&random=123456&sign=1770d38260cc980dbc4337ed7fe1e8de&signMethod=HmacMD5"
	guideAuth     = "productKey=b1KCi45LcCP&sign=70e7bb641d7566ad26a305dd20e8e261&clientId=862991419835241&deviceName=862991419835241"
	formHeader    = "Content-Type: application/x-www-form-urlencoded"
)

// digestOf signs a plaintext the way a device does.
func digestOf(t *testing.T, method, key, plain string) bool {
	t.Helper()
	digest, known := methods(method)
	if !known {
		t.Fatalf("no method %s", method)
	}
	name, want, _ := strings.Cut(plain, "#")
	return sameSignature(digest, key, name, want)
}

// Published vectors: the vendor quick guide (G1, G2), the Linkkit C SDK manual
// (G5), Aliyun IoT document 73742 (G6), and those computed from the same inputs.
func TestSignatureVectors(t *testing.T) {
	const (
		register = "deviceName862991419835241productKeyb1KCi45LcCPrandom123456#"
		auth     = "clientId862991419835241deviceName862991419835241productKeyb1KCi45LcCP#"
		stamped  = "clientId862991419835241deviceName862991419835241productKeyb1KCi45LcCPtimestamp2524608000000#"
		doc      = "clientId12345deviceNamedeviceproductKeypktimestamp789#"
	)
	for _, v := range []struct{ method, key, plain string }{
		{"HmacMD5", GuideProductSecret, register + "1770d38260cc980dbc4337ed7fe1e8de"},
		{"hmacmd5", GuideDeviceSecret, auth + "70e7bb641d7566ad26a305dd20e8e261"},
		{"hmacsha256", "ffFnFlKQW3HYjjPR", "deviceNameExample_dyn1productKeya1ExpAkj9Hirandom7y4Jg5xdKCy9W2i#d3b560d5be0c9c19749470e85d912b65685fa4b20edcbd179ccfe98fcca23d5e"},
		{"hmacsha1", "secret", doc + "FAFD82A3D602B37FB0FA8B7892F24A477F851A14"},
		{"hmacsha1", GuideProductSecret, register + "3715a7768051f4eba0029bafbe7f8d284fbd53fa"},
		{"hmacsha256", GuideProductSecret, register + "de807313adc87f245c1f5b7c1b36255c5deb3fa382926226b57f7fa0119b657a"},
		{"hmacsha1", GuideDeviceSecret, auth + "df87ccb615a98accd67d8086be82a9ed74864f1f"},
		{"hmacsha256", GuideDeviceSecret, auth + "96f74e9cec72a3a1fe5bd10cf63acc28bc8cd7683612d7fda26707d2bc58f689"},
		{"hmacmd5", GuideDeviceSecret, stamped + "eaf3d998fedadafd50c5ad9871e48de7"},
		{"hmacsha1", GuideDeviceSecret, stamped + "1256cb52301b21e8aaeececd77d251d8b823939a"},
		{"hmacsha256", GuideDeviceSecret, stamped + "1baf7159097624c24e3293015228ae078687fca5c03df6f9af1088664f2c1758"},
		{"hmacmd5", "secret", doc + "14b198324fe55e1d3c88f2e705e201ee"},
		{"hmacsha256", "secret", doc + "6074a46a91b1ebb2cc4ea42790ad0e80202c9843859fc292e57c4eb19fad9e57"},
	} {
		if !digestOf(t, v.method, v.key, v.plain) {
			t.Errorf("%s of %s is refused", v.method, v.plain)
		}
	}
	// The stray blank of the printed guide does not sign.
	if digestOf(t, "hmacmd5", "mRMyB50qafv74A 5FofvhxZ2h9iTL9wX7", auth+"70e7bb641d7566ad26a305dd20e8e261") {
		t.Error("a secret with a blank in it gave the guide's signature")
	}
}

func hmacMD5(key, plain string) string {
	h := hmac.New(md5.New, []byte(key))
	h.Write([]byte(plain))
	return hex.EncodeToString(h.Sum(nil))
}

// serveAt sends a form to the cloud without a module.
func serveAt(t *testing.T, c *Cloud, target, form string) (int, string) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	status, body := c.Serve(Request{Method: 1, URL: u, Headers: []string{formHeader}, Body: []byte(form)})
	return status, string(body)
}

// Each code of the registration and of the authentication, with status 200.
func TestAnswersOfTheCloud(t *testing.T) {
	o := GuideOptions()
	p := o.Products[GuideProductKey]
	p.Devices = []string{GuideDeviceName}
	o.Products = map[string]Product{GuideProductKey: p, "off": {Secret: "s", RegistrationOff: true}}
	form := func(base string, changes ...string) string {
		v, err := url.ParseQuery(base)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			name, value, _ := strings.Cut(c, "=")
			v.Set(name, value)
			if value == "" {
				v.Del(name)
			}
		}
		return v.Encode()
	}
	for _, c := range []struct{ url, form, want string }{
		{registerURL, guideRegister, `{"code":200,"data":{"deviceName":"862991419835241","deviceSecret":"mRMyB50qafv74A5FofvhxZ2h9iTL9wX7","productKey":"b1KCi45LcCP"},"message":"success"}`},
		{registerURL, guideRegister, `{"code":200,"data":{"deviceName":"862991419835241","deviceSecret":"mRMyB50qafv74A5FofvhxZ2h9iTL9wX7","productKey":"b1KCi45LcCP"},"message":"success"}`},
		{registerURL, form(guideRegister, "random="), `{"code":460,`},
		{registerURL, form(guideRegister, "deviceName="), `{"code":460,`},
		{registerURL, form(guideRegister, "productKey=B1KCi45LcCP"), `{"code":6250,`},
		{registerURL, form(guideRegister, "productKey=off"), `{"code":6288,`},
		{registerURL, form(guideRegister, "signMethod=crc32"), `{"code":6292,`},
		{registerURL, form(guideRegister, "random=654321"), `{"code":6600,`},
		{registerURL, form(guideRegister, "deviceName=stranger"), `{"code":6600,`},
		{registerURL, form(guideRegister, "deviceName=stranger", "sign="+hmacMD5(GuideProductSecret, "deviceNamestrangerproductKeyb1KCi45LcCPrandom123456")), `{"code":6100,`},
		{registerURL, "productKey=%zz", `{"code":460,`},
		{authURL, guideAuth, `{"code":200,"data":{"iotId":"PbUqGh2URAj1AtNyyd7X00107ceb00","iotToken":"425656f625b64560a4bff2a0f16946a3"},"message":"success"}`},
		{authURL, form(guideAuth, "signmethod=hmacsha1", "sign=DF87CCB615A98ACCD67D8086BE82A9ED74864F1F"), `{"code":200,`},
		{authURL, form(guideAuth, "timestamp=2524608000000", "sign=eaf3d998fedadafd50c5ad9871e48de7"), `{"code":200,`},
		{authURL, form(guideAuth, "version=default", "resources=mqtt"), `{"code":200,"data":{"iotId":"PbUqGh2URAj1AtNyyd7X00107ceb00","iotToken":"425656f625b64560a4bff2a0f16946a3","resources":{"mqtt":{"host":"b1KCi45LcCP.iot-as-mqtt.cn-shanghai.aliyuncs.com","port":1883}}},"message":"success"}`},
		{authURL, form(guideAuth, "clientId=other"), `{"code":401,"message":"invalid sign"}`},
		{authURL, form(guideAuth, "sign=00"), `{"code":401,"message":"invalid sign"}`},
		{authURL, form(guideAuth, "timestamp=1"), `{"code":401,"message":"invalid sign"}`},
		{authURL, form(guideAuth, "deviceName=stranger"), `{"code":5001,`},
		{authURL, form(guideAuth, "clientId="), `{"code":460,`},
		{authURL, form(guideAuth, "signmethod=rot13"), `{"code":460,`},
	} {
		cloud := New(o)
		status, body := serveAt(t, cloud, c.url, c.form)
		if status != 200 || !strings.HasPrefix(body, c.want) {
			t.Errorf("%s\n got %d %s\nwant 200 %s", c.form, status, body, c.want)
		}
	}
	cloud := New(o)
	for target, want := range map[string]int{
		"https://iot-auth.cn-shanghai.aliyuncs.com/auth/other": 404,
		"https://iot-auth.ap-southeast-1.aliyuncs.com/auth/x":  404,
		"https://iot-auth.cn-shanghai.aliyuncs.com:444/auth/x": 601,
		"http://iot-auth.cn-shanghai.aliyuncs.com/auth/x":      601,
		"https://example.com/auth/devicename":                  603,
	} {
		if status, _ := serveAt(t, cloud, target, guideAuth); status != want {
			t.Errorf("%s: status %d, want %d", target, status, want)
		}
	}
}

// Secrets and tokens that are not fixed depend on the seed and the names alone.
func TestMadeSecrets(t *testing.T) {
	o := GuideOptions()
	o.Tokens = nil
	o.Seed = 9
	a, b := New(o), New(o)
	o.Seed = 10
	other := New(o)
	if _, err := a.DeviceSecret(GuideProductKey, "first"); err != nil {
		t.Fatal(err)
	}
	sa, _ := a.DeviceSecret(GuideProductKey, "dev")
	sb, _ := b.DeviceSecret(GuideProductKey, "dev")
	so, _ := other.DeviceSecret(GuideProductKey, "dev")
	if sa != sb || len(sa) != 32 || sa == so {
		t.Errorf("secrets %q, %q and %q", sa, sb, so)
	}
	if _, err := a.DeviceSecret("none", "dev"); err == nil {
		t.Error("a device of no product has a secret")
	}
	_, first := serveAt(t, a, authURL, guideAuth)
	_, again := serveAt(t, a, authURL, guideAuth)
	_, same := serveAt(t, b, authURL, guideAuth)
	if first == again || first != same || len(first) < 124 || len(first) > 132 {
		t.Errorf("tokens\n%s\n%s\n%s", first, again, same)
	}
}

// What the cloud refuses at login.
func TestLogins(t *testing.T) {
	sha256 := "96f74e9cec72a3a1fe5bd10cf63acc28bc8cd7683612d7fda26707d2bc58f689"
	digest := "70e7bb641d7566ad26a305dd20e8e261"
	direct := func(client, password string, keepalive int) Login {
		return Login{ClientID: client, User: "862991419835241&b1KCi45LcCP", Password: password, Clean: true, Keepalive: keepalive}
	}
	good := "862991419835241|securemode=2,signmethod=hmacsha256|"
	for _, c := range []struct {
		name string
		in   Login
		rc   int
	}{
		{"sha256", direct(good, sha256, 300), rcAccepted},
		{"upper case", direct(good, strings.ToUpper(sha256), 300), rcAccepted},
		{"plain TCP", direct("862991419835241|securemode=3,signmethod=hmacmd5|", digest, 300), rcAccepted},
		{"no method is md5", direct("862991419835241|securemode=2|", digest, 300), rcAccepted},
		{"timestamp", direct("862991419835241|securemode=2,signmethod=hmacmd5,timestamp=2524608000000|", "eaf3d998fedadafd50c5ad9871e48de7", 300), rcAccepted},
		{"keep-alive 30", direct(good, sha256, 30), rcAccepted},
		{"keep-alive 1200", direct(good, sha256, 1200), rcAccepted},
		{"keep-alive 29", direct(good, sha256, 29), rcUnavailable},
		{"keep-alive 1201", direct(good, sha256, 1201), rcUnavailable},
		{"wrong signature", direct(good, digest, 300), rcUnauthorised},
		{"unsigned timestamp", direct("862991419835241|securemode=2,signmethod=hmacmd5,timestamp=1|", digest, 300), rcUnauthorised},
		{"no parameters", direct("862991419835241", digest, 300), rcIdentifier},
		{"not closed", direct("862991419835241|securemode=2", digest, 300), rcIdentifier},
		{"no securemode", direct("862991419835241|signmethod=hmacmd5|", digest, 300), rcIdentifier},
		{"unknown method", direct("862991419835241|securemode=2,signmethod=x|", digest, 300), rcIdentifier},
		{"unknown product", Login{ClientID: good, User: "862991419835241&none", Password: digest, Keepalive: 300}, rcUnauthorised},
		{"unknown iotId", Login{ClientID: "862991419835241", User: "nobody", Password: digest, Keepalive: 300}, rcUnavailable},
		{"token", Login{ClientID: "862991419835241", User: GuideIotID, Password: GuideIotToken, Keepalive: 300}, rcAccepted},
		{"token with parameters", Login{ClientID: "862991419835241|securemode=-1|", User: GuideIotID, Password: GuideIotToken, Keepalive: 300}, rcAccepted},
		{"wrong token", Login{ClientID: "862991419835241", User: GuideIotID, Password: GuideIotToken + "0", Keepalive: 300}, rcUnavailable},
		{"another client", Login{ClientID: "862991419835242", User: GuideIotID, Password: GuideIotToken, Keepalive: 300}, rcIdentifier},
	} {
		cloud := New(GuideOptions())
		if _, body := serveAt(t, cloud, authURL, guideAuth); !strings.HasPrefix(body, `{"code":200`) {
			t.Fatal(body)
		}
		if _, rc := cloud.admit(c.in); rc != c.rc {
			t.Errorf("%s: return code %d, want %d", c.name, rc, c.rc)
		}
	}
}

// A strict account hands a secret out once, ever.
func TestStrictRegistration(t *testing.T) {
	o := GuideOptions()
	o.StrictRegistration = true
	c := New(o)
	for i, want := range []string{`{"code":200,`, `{"code":6289,`} {
		if _, body := serveAt(t, c, registerURL, guideRegister); !strings.HasPrefix(body, want) {
			t.Errorf("request %d: %s, want %s", i, body, want)
		}
	}
}

// What the cloud keeps is bounded.
func TestWhatIsKeptIsBounded(t *testing.T) {
	c := New(Options{})
	for range maxMessages + 10 {
		c.keep(Received{})
	}
	if n := len(c.messages); n > maxMessages || n < maxMessages/2 {
		t.Errorf("%d messages", n)
	}
	d := &device{}
	for range maxRetained + 10 {
		d.retain(Packet{})
	}
	if n := len(d.retained); n != maxRetained {
		t.Errorf("%d retained", n)
	}
	in := NewInbox(func() {})
	for range inboxSize + 10 {
		in.put(Packet{})
	}
	if !in.put(Packet{Closed: true}) {
		t.Error("the end of a connection was lost")
	}
	if n := len(in.Take()); n != inboxSize+1 || in.lost != 10 {
		t.Errorf("%d packets, %d lost", n, in.lost)
	}
}
