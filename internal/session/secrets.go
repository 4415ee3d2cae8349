package session

import (
	"errors"
	"strings"

	"airbridged/internal/recovery"
)

// Which secret the cloud refused, where that one lies, and the two cures: people who are
// told "check the secret" look at the one that they wrote, and it is the other one.

// Secrets replaces the secrets of the configuration; the names stay. The next request to
// the cloud is signed with them. It may be called at any time.
func (s *Session) Secrets(given Device) { s.device.given.Store(&given) }

// lies is where a secret is, for people, and how the daemon comes to know of another one
// in its place. A credential was copied for this process when it started.
func lies(from string) (where, anew string) {
	switch {
	case strings.HasPrefix(from, "credential "):
		return " (" + from + " of the service, by default in /etc/credstore)", "restart the service"
	case strings.HasPrefix(from, "file "):
		return " (" + from + ")", "airbridgectl reload"
	case from != "":
		return " (" + from + ")", "restart the daemon"
	}
	return "", "airbridgectl reload"
}

// deviceSecret says which DeviceSecret is in use, and what can be done where it is not the
// one that the cloud has.
func (d *device) deviceSecret() (which, cure string) {
	const console = "copy the one that the console shows for this device"
	if given := d.given.Load(); !given.DeviceSecret.Empty() {
		where, anew := lies(given.DeviceFrom)
		return "the DeviceSecret that the configuration gives" + where,
			console + " there, then " + anew + "; or take it out of the configuration, and the daemon uses the one that it has stored, or registers"
	}
	return "the DeviceSecret that is stored in " + d.store.File(),
		"where the device was reset or made anew in the console, airbridgectl reprovision --yes registers it once more; " +
			"or " + console + " into a file, and name that as device.device_secret_file"
}

// productSecretHint says what can be done about the ProductSecret.
func (d *device) productSecretHint() string {
	where, anew := lies(d.given.Load().ProductFrom)
	return "the cloud refuses the registration: check device.product_key and the ProductSecret" + where +
		", which have to be of one product; copy both from the product's page in the console, then " + anew
}

// refused tells of a signature that the cloud refuses, by the secret it was made with:
// cause is signature-refused for the ProductSecret's, device-secret-refused for the
// DeviceSecret's. Other errors stay as they are.
func (d *device) refused(err error, cause recovery.Cause) error {
	var f *recovery.Failure
	if !errors.As(err, &f) || f.Cause != recovery.SignatureRefused {
		return err
	}
	hint := f.Hint
	switch {
	case hint != "": // it is no matter of the secret
	case cause == recovery.DeviceSecretRefused:
		which, cure := d.deviceSecret()
		hint = which + " is not the one that the cloud has for this device: " + cure
	default:
		hint = d.productSecretHint()
	}
	return &recovery.Failure{Cause: cause, Hint: hint, Err: f.Err}
}
