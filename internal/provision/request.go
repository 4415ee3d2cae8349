package provision

import (
	"net/url"

	"airbridged/internal/secret"
)

// RegisterBody returns the form body of a dynamic registration: fields, order
// and the spelling HmacMD5 as in the vendor quick guide, part 3, where it has
// exactly 120 bytes. Values are percent-encoded, which changes nothing for
// letters and digits.
func RegisterBody(id Identity, productSecret secret.Text, random string, m Method) string {
	m = m.orDefault()
	signature := sign(m, productSecret, fields{"deviceName": id.DeviceName, "productKey": id.ProductKey, "random": random})
	spelling := string(m)
	if m == HMACMD5 {
		spelling = "HmacMD5"
	}
	return "productKey=" + url.QueryEscape(id.ProductKey) +
		"&deviceName=" + url.QueryEscape(id.DeviceName) +
		"&random=" + url.QueryEscape(random) +
		"&sign=" + signature +
		"&signMethod=" + spelling
}

// AuthBody returns the form body of the request for iotId and iotToken: fields
// and order as in the vendor quick guide, part 4, where it has exactly 112
// bytes. The sign method is sent only when it is not the default. Its name has
// no capital here, unlike in a registration (Aliyun document 73742).
func AuthBody(id Identity, clientID string, deviceSecret secret.Text, m Method) string {
	m = m.orDefault()
	body := "productKey=" + url.QueryEscape(id.ProductKey) +
		"&sign=" + loginSignature(id, clientID, deviceSecret, m) +
		"&clientId=" + url.QueryEscape(clientID) +
		"&deviceName=" + url.QueryEscape(id.DeviceName)
	if m != HMACMD5 {
		body += "&signmethod=" + string(m)
	}
	return body
}

// MQTTCredentials are the three strings of an MQTT login.
type MQTTCredentials struct {
	ClientID string
	User     string
	Password secret.Text
}

// Direct returns the login of the MQTT signature (Aliyun document 73742):
// clientId with securemode 2 under TLS and 3 without, no timestamp, user
// DeviceName&ProductKey, and as password the signature over the bare clientID.
func Direct(id Identity, clientID string, deviceSecret secret.Text, m Method, tls bool) MQTTCredentials {
	m = m.orDefault()
	mode := "3"
	if tls {
		mode = "2"
	}
	return MQTTCredentials{
		ClientID: clientID + "|securemode=" + mode + ",signmethod=" + string(m) + "|",
		User:     id.DeviceName + "&" + id.ProductKey,
		Password: secret.New(loginSignature(id, clientID, deviceSecret, m)),
	}
}

// FromToken returns the login with a token: the clientID that the token was
// asked for, iotId and iotToken (vendor quick guide, part 5).
func FromToken(clientID string, t Token) MQTTCredentials {
	return MQTTCredentials{ClientID: clientID, User: t.IotID, Password: t.Secret}
}

// loginSignature signs a login. HTTPS authentication and the MQTT signature
// have the same plain text.
func loginSignature(id Identity, clientID string, deviceSecret secret.Text, m Method) string {
	return sign(m, deviceSecret, fields{"clientId": clientID, "deviceName": id.DeviceName, "productKey": id.ProductKey})
}
