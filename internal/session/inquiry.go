package session

import (
	"errors"
	"fmt"
	"net/url"

	"airbridged/internal/air"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
)

// What can become of an HTTPS request, and what a person can do about each: "check
// signal, DNS" is good advice for one of a dozen.

// inquiry is an HTTPS request to the cloud: what it is for, and where it goes.
type inquiry struct {
	registers bool // it asks for a DeviceSecret; otherwise for a token
	url       string
}

func (q inquiry) host() string {
	u, err := url.Parse(q.url)
	if err != nil || u.Hostname() == "" {
		return "the server"
	}
	return u.Hostname()
}

// key is the one of the configuration that leads elsewhere.
func (q inquiry) key() string {
	if q.registers {
		return "cloud.register_url"
	}
	return "cloud.auth_url"
}

// elsewhere is for an answer that is not the cloud's.
func (q inquiry) elsewhere(what string) string {
	return fmt.Sprintf("%s, which the cloud never sends: something on the way answers in its place, such as an operator's page for a SIM that is not paid for or has no data left, "+
		"or a firewall; or %s leads to another server", what, q.key())
}

// failure turns what became of the request into a Failure.
func (q inquiry) failure(err error) error {
	var refused *provision.CloudError
	var status *air.HTTPError
	switch {
	case errors.As(err, &refused):
		return &recovery.Failure{Cause: refused.Cause(), Hint: q.refusal(refused), Err: err}
	case errors.As(err, &status):
		return &recovery.Failure{Cause: httpCause(status.Status), Hint: q.status(status.Status), Err: err}
	case errors.Is(err, provision.ErrPage):
		return &recovery.Failure{Cause: recovery.HTTPFailed, Hint: q.elsewhere("the answer is a web page"), Err: err}
	case errors.Is(err, provision.ErrReply):
		return &recovery.Failure{Cause: recovery.HTTPFailed, Hint: q.elsewhere("the answer is not in the cloud's form"), Err: err}
	}
	return failed(recovery.HTTPFailed, err)
}

// httpCause sorts HTTP status codes; 600 to 606 are the module's own (AT manual,
// HTTPACTION).
func httpCause(status int) recovery.Cause {
	switch {
	case status == 429 || status >= 500 && status < 600:
		return recovery.CloudError
	case status >= 400 && status < 500:
		return recovery.RequestRefused
	}
	return recovery.HTTPFailed
}

// status is the hint for an HTTP status; empty: that of the cause.
func (q inquiry) status(status int) string {
	host := q.host()
	switch status {
	case 600:
		return fmt.Sprintf("what answers at %s speaks no HTTP: something on the way answers in its place, or %s has the wrong port", host, q.key())
	case 601:
		return fmt.Sprintf("the module reached no server: the data connection is open and carries nothing to %s; check the signal, that the SIM has data left, and whether its operator lets it reach that host", host)
	case 602:
		return "the module is out of memory: it is tried again, and the module is reset should it stay so; its firmware may have a newer version"
	case 603:
		return fmt.Sprintf("the network's name servers do not know %s: check cloud.region and %s; an IoT SIM may only know names that its operator was told, and modem.apn decides which servers are asked", host, q.key())
	case 604:
		return "the module is busy with something else on the network: it is tried again"
	case 605:
		return fmt.Sprintf("the module reached %s and could not agree on TLS with it: does its firmware have TLS (2G: SSL in its name), and is there no proxy on the way that breaks it open? It may also be the port in %s", host, q.key())
	case 606:
		return fmt.Sprintf("%s ended the TLS handshake with an alert: the module's firmware is too old for what that server asks for, so update it; or %s leads to a server that is not the cloud's", host, q.key())
	case 401, 407, 511:
		return fmt.Sprintf("HTTP status %d: a proxy or a portal on the way wants a login, which the cloud never does; use a SIM or an APN without one", status)
	case 403:
		return fmt.Sprintf("HTTP status 403: a firewall before %s, or on the way, forbids the request; check %s, and ask the SIM's operator whether that host is allowed", host, q.key())
	case 404, 405, 410:
		return fmt.Sprintf("HTTP status %d: there is nothing of the kind at that address; check %s and cloud.region", status, q.key())
	case 408:
		return fmt.Sprintf("HTTP status 408: the request came too slowly for %s: check the signal", host)
	case 429:
		return "HTTP status 429: too many requests came from this device; it is tried again, more and more slowly"
	case 502, 503, 504:
		return fmt.Sprintf("HTTP status %d: a server before the cloud's own is away or overloaded; it is tried again", status)
	}
	switch {
	case status < 300:
		return q.elsewhere(fmt.Sprintf("the answer has HTTP status %d", status))
	case status < 400:
		return q.elsewhere(fmt.Sprintf("the answer leads to another address (HTTP status %d)", status))
	case status < 500:
		return fmt.Sprintf("HTTP status %d: %s does not take the request; check %s and cloud.region", status, host, q.key())
	case status > 606:
		return fmt.Sprintf("the module gave up with status %d, of which no manual tells; check the signal, and whether its firmware has a newer version", status)
	}
	return ""
}

// refusal is the hint for a code of the cloud; empty: that of the cause. The codes are
// those of a registration and of an authentication (Aliyun IoT, documents 89298 and
// 120329).
func (q inquiry) refusal(e *provision.CloudError) string {
	cause := e.Cause()
	switch {
	case e.Code == 6292:
		return "the cloud does not take this method of signing: set cloud.sign to another one"
	case cause != recovery.RequestRefused:
		return ""
	case e.Code == 400 || e.Code == 460:
		what := "the login request"
		if q.registers {
			what = "the registration"
		}
		return fmt.Sprintf("the cloud could not read %s (code %d): something in it is missing or badly formed; check device.product_key and device.device_name, "+
			"which have to be as the console has them (a name has 4 to 32 letters, digits, - _ @ . :)", what, e.Code)
	case e.Code == 6204:
		return "the device is disabled in the cloud's console: enable it there"
	case e.Code == 6200:
		return "the product has another way to log in than a device secret (certificates, or identifiers of its own): see its page in the cloud's console"
	case q.registers:
		return fmt.Sprintf("the cloud refuses the registration with code %d: see in the console whether the device is in the product, and the product logs in with device secrets; check device.product_key, device.device_name and cloud.register_url", e.Code)
	}
	return ""
}
