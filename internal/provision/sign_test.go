package provision

import (
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"airbridged/internal/secret"
)

// The inputs of the vendor quick guide.
var (
	guide         = Identity{ProductKey: "b1KCi45LcCP", DeviceName: "862991419835241"}
	guideProduct  = secret.New("VWll9fiYWKiwraBk")
	guideDevice   = secret.New("mRMyB50qafv74A5FofvhxZ2h9iTL9wX7")
	guideToken    = "425656f625b64560a4bff2a0f16946a3"
	guideRegister = `{"code":200,"data":{"deviceName":"862991419835241","deviceSecret":"mRMyB50qafv74A5FofvhxZ2h9iTL9wX7","productKey":"b1KCi45LcCP"},"message":"success"}`
	guideAuth     = `{"code":200,"data":{"iotId":"PbUqGh2URAj1AtNyyd7X00107ceb00","iotToken":"425656f625b64560a4bff2a0f16946a3"},"message":"success"}`
)

func TestGoldenSignatures(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name, Method, Key, Plain, Digest string
		Fields                           fields
		Wrong                            bool
	}
	if err := json.Unmarshal(data, &vectors); err != nil || len(vectors) < 20 {
		t.Fatal(err, len(vectors))
	}
	for _, v := range vectors {
		var plain string
		for _, name := range slices.Sorted(maps.Keys(v.Fields)) {
			plain += name + v.Fields[name]
		}
		if plain != v.Plain {
			t.Errorf("%s: fields give %q", v.Name, plain)
		}
		if got := sign(Method(v.Method), secret.New(v.Key), v.Fields); (got == v.Digest) == v.Wrong {
			t.Errorf("%s: got %s, vector %s, wrong on purpose: %v", v.Name, got, v.Digest, v.Wrong)
		}
	}
}

// The guide says how many bytes HTTPDATA announces: 120 and 112.
func TestBodiesAreTheGuides(t *testing.T) {
	t.Parallel()
	register := RegisterBody(guide, guideProduct, "123456", HMACMD5)
	if want := "productKey=b1KCi45LcCP&deviceName=862991419835241&random=123456&sign=1770d38260cc980dbc4337ed7fe1e8de&signMethod=HmacMD5"; register != want || len(register) != 120 {
		t.Errorf("%d bytes: %s", len(register), register)
	}
	auth := AuthBody(guide, "862991419835241", guideDevice, HMACMD5)
	if want := "productKey=b1KCi45LcCP&sign=70e7bb641d7566ad26a305dd20e8e261&clientId=862991419835241&deviceName=862991419835241"; auth != want || len(auth) != 112 {
		t.Errorf("%d bytes: %s", len(auth), auth)
	}
	if RegisterBody(guide, guideProduct, "123456", "") != register || AuthBody(guide, "862991419835241", guideDevice, "") != auth {
		t.Error("no method is not the default method")
	}
	if got, want := AuthBody(guide, "862991419835241", guideDevice, HMACSHA1), strings.Replace(auth, "70e7bb641d7566ad26a305dd20e8e261", "df87ccb615a98accd67d8086be82a9ed74864f1f", 1)+"&signmethod=hmacsha1"; got != want {
		t.Error(got)
	}
	if got := RegisterBody(guide, guideProduct, "123456", HMACSHA256); !strings.HasSuffix(got, "&sign=de807313adc87f245c1f5b7c1b36255c5deb3fa382926226b57f7fa0119b657a&signMethod=hmacsha256") {
		t.Error(got)
	}
}

// A DeviceName may hold @ and :, which a form cannot carry as they are. The
// signature is over what they were before.
func TestBodiesEncodeButSignRaw(t *testing.T) {
	t.Parallel()
	id := Identity{"pk", "a@b:c&d=e"}
	for _, body := range []string{RegisterBody(id, guideProduct, "1+2", HMACMD5), AuthBody(id, "c&d", guideDevice, HMACMD5)} {
		form, err := url.ParseQuery(body)
		if err != nil || form.Get("deviceName") != id.DeviceName || form.Get("productKey") != "pk" || strings.Contains(body, "@") {
			t.Errorf("%v: %s", err, body)
		}
	}
	if got, raw := RegisterBody(id, guideProduct, "1", HMACMD5), sign(HMACMD5, guideProduct, fields{"deviceName": "a@b:c&d=e", "productKey": "pk", "random": "1"}); !strings.Contains(got, "&sign="+raw+"&") {
		t.Error(got)
	}
}

func TestDirectLogin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method   Method
		tls      bool
		clientID string
		password string
	}{
		{HMACMD5, true, "862991419835241|securemode=2,signmethod=hmacmd5|", "70e7bb641d7566ad26a305dd20e8e261"},
		{"", false, "862991419835241|securemode=3,signmethod=hmacmd5|", "70e7bb641d7566ad26a305dd20e8e261"},
		{HMACSHA1, true, "862991419835241|securemode=2,signmethod=hmacsha1|", "df87ccb615a98accd67d8086be82a9ed74864f1f"},
		{HMACSHA256, true, "862991419835241|securemode=2,signmethod=hmacsha256|", "96f74e9cec72a3a1fe5bd10cf63acc28bc8cd7683612d7fda26707d2bc58f689"},
	} {
		got := Direct(guide, "862991419835241", guideDevice, c.method, c.tls)
		if got.ClientID != c.clientID || got.User != "862991419835241&b1KCi45LcCP" || got.Password.Reveal() != c.password {
			t.Errorf("%s: %+v %s", c.method, got, got.Password.Reveal())
		}
	}
	token := Token{IotID: "PbUqGh2URAj1AtNyyd7X00107ceb00", Secret: secret.New(guideToken)}
	if got := FromToken("862991419835241", token); got != (MQTTCredentials{"862991419835241", token.IotID, token.Secret}) {
		t.Errorf("%+v", got)
	}
}

func TestRandom(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		r := Random()
		if len(r) != 16 || strings.Trim(r, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" || seen[r] {
			t.Fatal(r)
		}
		seen[r] = true
	}
}
