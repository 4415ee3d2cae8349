package simcloud

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Request is what reaches the cloud of an AT+HTTPACTION.
type Request struct {
	Method  int // as in AT+HTTPACTION: 0 GET, 1 POST, 2 HEAD
	URL     *url.URL
	Headers []string
	Body    []byte
}

// Serve answers a request as the internet behind the module would: 603 for a
// name that does not resolve, 601 for a port nobody listens on, a status of the
// server otherwise. Business errors come with status 200 (Aliyun IoT, device
// authentication).
func (c *Cloud) Serve(r Request) (status int, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	host := r.URL.Hostname()
	region, ours := strings.CutPrefix(host, "iot-auth.")
	if !ours || !strings.HasSuffix(region, ".aliyuncs.com") || c.faults.outage {
		return 603, nil
	}
	if r.URL.Scheme != "https" || r.URL.Port() != "" && r.URL.Port() != "443" {
		return 601, nil
	}
	var handle func(url.Values) answer
	switch r.URL.Path {
	case "/auth/register/device":
		handle = c.register
	case "/auth/devicename":
		handle = c.authenticate
	default:
		return 404, []byte("<html><body>404 Not Found</body></html>")
	}
	if r.Method != 1 {
		return 405, []byte("<html><body>405 Method Not Allowed</body></html>")
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil || !isForm(r.Headers) {
		return 200, refusal460.encode()
	}
	return 200, handle(form).encode()
}

// isForm looks for the one header that matters. Without the blank after the
// colon it is not a header line (vendor quick guide: "there is a blank behind
// it!").
func isForm(headers []string) bool {
	return slices.ContainsFunc(headers, func(h string) bool {
		name, value, found := strings.Cut(h, ": ")
		kind, _, _ := strings.Cut(value, ";")
		return found && strings.EqualFold(name, "content-type") && strings.TrimSpace(kind) == "application/x-www-form-urlencoded"
	})
}

// answer is the JSON of a reply; the order of its members is the cloud's.
type answer struct {
	Code    int    `json:"code"`
	Data    any    `json:"data,omitempty"`
	Message string `json:"message"`
}

func (a answer) encode() []byte {
	b, err := json.Marshal(a)
	if err != nil {
		panic(err) // only strings and numbers are in it
	}
	return b
}

var refusal460 = refusedWith(460)

// codeTexts are the messages of the codes. Those of 401 and 6289 are from real
// answers; the others are only known by their code.
var codeTexts = map[int]string{
	400: "request error", 401: "invalid sign", 429: "too many requests", 460: "request parameter error",
	500: "system error", 5001: "meta device not found", 5005: "query product failed", 6100: "device not found",
	6200: "auth type mismatch", 6204: "device disabled", 6250: "query product info failed", 6288: "dynamic register off",
	6289: "device is already active", 6292: "sign method not supported", 6600: "sign check failed",
}

func refusedWith(code int) answer {
	text := codeTexts[code]
	if text == "" {
		text = "error"
	}
	return answer{Code: code, Message: text}
}

// register hands out a DeviceSecret.
func (c *Cloud) register(form url.Values) answer {
	a := c.tryRegister(form)
	if a.Code == 200 {
		c.counters.Registrations++
	} else {
		c.counters.RegistrationsRefused++
	}
	return a
}

func (c *Cloud) tryRegister(form url.Values) answer {
	if code, ordered := c.faults.register.next(c.rng); ordered {
		return refusedWith(code)
	}
	key, name := form.Get("productKey"), form.Get("deviceName")
	if key == "" || name == "" || form.Get("random") == "" || form.Get("sign") == "" {
		return refusedWith(460)
	}
	p, known := c.o.Products[key]
	switch {
	case !known:
		return refusedWith(6250)
	case p.RegistrationOff || c.faults.registrationOff:
		return refusedWith(6288)
	}
	digest, supported := methods(form.Get("signMethod"))
	if !supported {
		return refusedWith(6292)
	}
	if !signed(digest, p.Secret, form, "signMethod") {
		return refusedWith(6600)
	}
	d := c.find(key, name)
	switch {
	case d == nil:
		return refusedWith(6100)
	case d.disabled:
		return refusedWith(6204)
	case d.active || d.given && c.o.StrictRegistration:
		return refusedWith(6289)
	}
	d.given = true
	c.happened(Happening{Kind: SecretGiven, Secret: d.secret})
	return answer{Code: 200, Data: struct {
		DeviceName   string `json:"deviceName"`
		DeviceSecret string `json:"deviceSecret"`
		ProductKey   string `json:"productKey"`
	}{d.name, d.secret, d.key}, Message: "success"}
}

// authenticate hands out an iotId and an iotToken.
func (c *Cloud) authenticate(form url.Values) answer {
	a := c.tryAuthenticate(form)
	if a.Code == 200 {
		c.counters.Auths++
	} else {
		c.counters.AuthsRefused++
	}
	return a
}

func (c *Cloud) tryAuthenticate(form url.Values) answer {
	if code, ordered := c.faults.auth.next(c.rng); ordered {
		return refusedWith(code)
	}
	key, name, client := form.Get("productKey"), form.Get("deviceName"), form.Get("clientId")
	if key == "" || name == "" || client == "" || len(client) > 64 || form.Get("sign") == "" {
		return refusedWith(460)
	}
	method := form.Get("signmethod")
	if method == "" {
		method = "hmacmd5"
	}
	digest, supported := methods(method)
	d := c.find(key, name)
	switch {
	case !supported:
		return refusedWith(460)
	case d == nil:
		return refusedWith(5001)
	case d.disabled:
		return refusedWith(6204)
	case !signed(digest, d.secret, form, "signmethod", "version", "resources"):
		return refusedWith(401)
	}
	id, t := c.issue(d, client)
	c.happened(Happening{Kind: TokenGiven, Secret: t.secret})
	data := struct {
		IotID     string `json:"iotId"`
		IotToken  string `json:"iotToken"`
		Resources any    `json:"resources,omitempty"`
	}{IotID: id, IotToken: t.secret}
	if strings.Contains(form.Get("resources"), "mqtt") {
		data.Resources = map[string]any{"mqtt": map[string]any{"host": key + ".iot-as-mqtt.cn-shanghai.aliyuncs.com", "port": 1883}}
	}
	return answer{Code: 200, Data: data, Message: "success"}
}

// issue makes a token; an older one stays valid for its life.
func (c *Cloud) issue(d *device, client string) (id string, t *token) {
	t = &token{device: d, clientID: client, expires: time.Now().Add(c.o.TokenLife)}
	if fixed, found := c.o.Tokens[d.name]; found {
		id, t.secret = fixed.IotID, fixed.IotToken
	} else {
		n := c.counters.Auths + 1
		id = c.made(d.name+"&"+d.key, 0, 20) + fmt.Sprintf("%08x", n)
		t.secret = hex.EncodeToString([]byte(c.made(id, n, 16)))
	}
	c.tokens[id] = t
	return id, t
}

// methods is the digest of a signature method, in any spelling of case.
func methods(name string) (func() hash.Hash, bool) {
	switch strings.ToLower(name) {
	case "hmacmd5":
		return md5.New, true
	case "hmacsha1":
		return sha1.New, true
	case "hmacsha256":
		return sha256.New, true
	}
	return nil, false
}

// signed checks a signature: all fields but sign and the unsigned ones, sorted,
// name and value joined with nothing between (Aliyun IoT, device
// authentication).
func signed(digest func() hash.Hash, secret string, form url.Values, unsigned ...string) bool {
	var names []string
	for name := range form {
		if name != "sign" && !slices.Contains(unsigned, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var plain strings.Builder
	for _, name := range names {
		plain.WriteString(name)
		plain.WriteString(form.Get(name))
	}
	return sameSignature(digest, secret, plain.String(), form.Get("sign"))
}

// sameSignature compares in either case of the hex digits.
func sameSignature(digest func() hash.Hash, secret, plain, given string) bool {
	h := hmac.New(digest, []byte(secret))
	_, _ = h.Write([]byte(plain))
	return hex.EncodeToString(h.Sum(nil)) == strings.ToLower(given)
}
