package air

import (
	"strconv"

	"airbridged/internal/secret"
)

// Limits of arguments, in bytes (AT manual 1.6.3, MCONFIG, MIPSTART, MSUB, SAPBR,
// HTTPPARA, HTTPDATA).
const (
	maxCredential = 256
	maxHost       = 255
	maxTopic      = 256
	maxAPN        = 50
	maxURL        = 500
	maxBody       = 3356
)

// downloadMillis is how long HTTPDATA keeps the module waiting for the body
// (vendor quick guide).
const downloadMillis = 20000

// formType is the header the cloud insists on; the blank after the colon is
// required (vendor quick guide).
const formType = "Content-Type: application/x-www-form-urlencoded"

// mconfigLine: AT+MCONFIG=<client id>,<user>,<password>, quoted.
func mconfigLine(clientID, user string, password secret.Text) (string, error) {
	return command("AT+MCONFIG").
		quoted("client id", clientID, 1, maxCredential).
		quoted("user", user, 0, maxCredential).
		hidden("password", password, maxCredential).
		build()
}

// dialLine: AT+SSLMIPSTART or AT+MIPSTART=<host>,<port>.
func dialLine(host string, port int, tls bool) (string, error) {
	name := "AT+MIPSTART"
	if tls {
		name = "AT+SSLMIPSTART"
	}
	return command(name).quoted("host", host, 1, maxHost).number("port", port, 1, 65535).build()
}

// mconnectLine: AT+MCONNECT=<clean>,<keepalive seconds>. The third argument of
// manuals from 1.6.7 on stays away: older firmware takes it for an error, and
// all that is lost is that the module pings more often than asked.
func mconnectLine(clean bool, keepalive int) (string, error) {
	return command("AT+MCONNECT").fixed(flag(clean)).number("keepalive", keepalive, 1, 65535).build()
}

// msubLine: AT+MSUB=<filter>,<qos>. The cloud has no QoS 2.
func msubLine(filter string, qos byte) (string, error) {
	return command("AT+MSUB").quoted("filter", filter, 1, maxTopic).number("qos", int(qos), 0, 1).build()
}

// munsubLine: AT+MUNSUB=<filter>.
func munsubLine(filter string) (string, error) {
	return command("AT+MUNSUB").quoted("filter", filter, 1, maxTopic).build()
}

// mpubLine: AT+MPUB=<topic>,<qos>,0,"<message>". The message is in its wire form
// already, escaped or in hexadecimal.
func mpubLine(topic string, qos byte, wire []byte) (string, error) {
	return command("AT+MPUB").
		quoted("topic", topic, 1, maxTopic).number("qos", int(qos), 0, 1).fixed("0").
		fixed(`"` + string(wire) + `"`).
		build()
}

// mpubexLine: AT+MPUBEX=<topic>,<qos>,0,<length>; the message follows the prompt.
func mpubexLine(topic string, qos byte, length int) (string, error) {
	return command("AT+MPUBEX").
		quoted("topic", topic, 1, maxTopic).number("qos", int(qos), 0, 1).fixed("0").
		number("length", length, 1, mostPayload).
		build()
}

// apnLine: AT+SAPBR=3,1,"APN",<apn>. An empty APN lets a 4G module choose.
func apnLine(apn string) (string, error) {
	return command("AT+SAPBR").fixed("3").fixed("1").fixed(`"APN"`).quoted("apn", apn, 0, maxAPN).build()
}

// csttLine: AT+CSTT=<apn>[,<user>,<password>].
func csttLine(a AccessPoint) (string, error) {
	l := command("AT+CSTT").quoted("apn", a.Name, 0, maxAPN)
	if a.User != "" {
		l = l.quoted("user", a.User, 0, maxAPNUser).hidden("password", a.Password, maxAPNPassword)
	}
	return l.build()
}

// urlLine: AT+HTTPPARA="URL",<url>.
func urlLine(url string) (string, error) {
	return command("AT+HTTPPARA").fixed(`"URL"`).quoted("url", url, 1, maxURL).build()
}

// httpDataLine: AT+HTTPDATA=<exact length>,<ms>; the body follows DOWNLOAD. A
// length of 0 would clear the module's buffer instead.
func httpDataLine(length int) (string, error) {
	return command("AT+HTTPDATA").number("length", length, 1, maxBody).fixed(strconv.Itoa(downloadMillis)).build()
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return "0"
}
