package session

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/durable"
	"airbridged/internal/provision"
	"airbridged/internal/secret"
	"airbridged/internal/topic"
)

// device is who this gateway is at the cloud, and what proves it: the names, the
// DeviceSecret, the token.
type device struct {
	given *atomic.Pointer[Device] // by the configuration; its secrets change with Session.Secrets
	cloud Cloud                   // how it signs, and whether it logs in with a token
	store *provision.Store
	show  *display
	named func(topic string) bool // whether the configuration names it; nil: it names none

	names   provision.Identity // without a DeviceName until the module was identified
	unsaved unsaved            // empty: none
	told    map[string]bool    // notes of the credential store that were passed on
	foreign map[string]bool    // topics that are not the device's and were told; at most foreignMost

	fresh bool // the token was fetched for this attempt

	request  durable.Note[struct{}] // marks a registration whose answer was not read yet
	searched bool                   // the answer to it was looked for
}

func newDevice(o Options, show *display) device {
	given := new(atomic.Pointer[Device])
	given.Store(&o.Device)
	return device{
		given: given, cloud: o.Cloud, store: o.Store, show: show, named: o.Named,
		told: make(map[string]bool), foreign: make(map[string]bool),
		request: durable.NewNote[struct{}](o.State, "registering.json"),
	}
}

// unwrittenIMEIs are what modules answer whose IMEI was never written: every such module
// has the same, so they would kick each other. The first is the vendor's (vendor FAQ),
// the others are what test firmware and repair shops leave behind. They are compared by
// their first 14 digits, as what follows is a check digit or a version.
var unwrittenIMEIs = []string{"35209900176148", "00499901064000", "12345678901234", "01234567890123"}

func unwritten(imei string) bool {
	return slices.ContainsFunc(unwrittenIMEIs, func(known string) bool { return strings.HasPrefix(imei, known) })
}

// identified settles the names: the configured ones, or the module's IMEI.
func (d *device) identified(imei string) {
	given := d.given.Load()
	d.names = provision.Identity{ProductKey: given.ProductKey, DeviceName: given.DeviceName}
	if d.names.DeviceName == "" {
		d.names.DeviceName = imei
	}
	d.show.imeiUnwritten(given.DeviceName == "" && unwritten(imei), imei)
	d.show.deviceName(d.names.DeviceName)
}

// clientID is the client's tag in both modes: the device name, as in the guide.
func (d *device) clientID() string { return d.names.DeviceName }

// A device may use the topics that carry its own names. What it publishes to
// any other, the cloud acknowledges and drops, and the module prints a SUBACK for
// a refused filter as for a granted one (user reports; Aliyun IoT console,
// "No authorization"). Nothing comes back that could be noticed, so it is noticed
// by the topic, and told once for each.

// foreignMost bounds the topics that are remembered as told; beyond it nothing
// more is told, because by then the operator knows.
const foreignMost = 32

// owns says whether a topic or filter is the device's own.
func (d *device) owns(name string) bool {
	return topic.OfDevice(name, d.names.ProductKey, d.names.DeviceName)
}

// tellForeign warns of a topic that is not the device's.
func (d *device) tellForeign(name, what string) {
	if d.owns(name) || d.foreign[name] || len(d.foreign) >= foreignMost || d.named != nil && d.named(name) {
		return
	}
	d.foreign[name] = true
	d.show.warn("topic-foreign", fmt.Sprintf("%s %s: it does not carry this device's names, so the cloud most likely drops it without a word; "+
		"it should contain /%s/%s/", what, name, d.names.ProductKey, d.names.DeviceName))
}

// secret finds the DeviceSecret: the one provisioned by hand, one that the cloud
// handed out and the disk has not taken yet, or the stored one.
func (d *device) secret() (secret.Text, bool, error) {
	if given := d.given.Load(); !given.DeviceSecret.Empty() {
		return given.DeviceSecret, true, nil
	}
	defer d.tellNotes()
	if !d.unsaved.secret.Empty() {
		// Durable before it is used: until it is on disk there is nothing to use.
		err := d.store.SaveDeviceSecret(d.unsaved.names, d.unsaved.secret)
		if err != nil && d.unsaved.names == d.names {
			return secret.Text{}, false, err
		}
		if err == nil {
			d.unsaved = unsaved{}
		}
	}
	return d.store.DeviceSecret(d.names)
}

// unsaved is a DeviceSecret that the cloud handed out and the disk has not taken
// yet. The module may be another one by the time it does.
type unsaved struct {
	names  provision.Identity
	secret secret.Text
}

// tellNotes passes on what the store found and could help itself with, such as a
// damaged file whose previous generation serves; once each.
func (d *device) tellNotes() {
	for _, note := range d.store.Notes() {
		if !d.told[note] {
			d.told[note] = true
			d.show.warn("credentials", note)
		}
	}
}

// keep stores a DeviceSecret that the cloud handed out. While the disk does not take
// it, secret tries again.
func (d *device) keep(issued secret.Text) error {
	d.unsaved = unsaved{d.names, issued}
	if _, _, err := d.secret(); err != nil {
		return storeFailure(err)
	}
	d.dropToken() // one there was for the secret before
	return nil
}

// requests marks on disk that a registration is asked for. The mark stays until
// answered, so that an answer which gets lost on the way is looked for.
func (d *device) requests() error {
	if err := d.request.Save(struct{}{}); err != nil {
		return storeFailure(err)
	}
	d.searched = false
	return nil
}

// requested says whether a registration may have been asked for whose answer was not
// read yet. A mark that is damaged or cannot be read now is one: to look for an
// answer that is not there harms nobody.
func (d *device) requested() bool {
	_, err := d.request.Load()
	return !errors.Is(err, fs.ErrNotExist)
}

// unread says whether there may be an answer that nobody has looked for yet.
func (d *device) unread() bool {
	return !d.searched && d.given.Load().DeviceSecret.Empty() && d.requested()
}

// answered says that the answer to a registration was read.
func (d *device) answered() {
	if err := d.request.Remove(); err != nil {
		d.show.log.Debug("the mark of a registration could not be removed", zap.Error(err))
	}
}

// cachedToken is the cached token, if it is still good.
func (d *device) cachedToken(now time.Time) (provision.Token, bool) {
	token, ok := d.store.Token(d.names)
	return token, ok && token.Usable(now)
}

// granted takes in a new token.
func (d *device) granted(token provision.Token) {
	if err := d.store.SaveToken(d.names, token); err != nil {
		// Only a cache: this process knows it all the same.
		d.show.warn("token-not-cached", "the token could not be cached, so a restart asks for a new one: "+err.Error())
	}
	d.fresh = true
	d.show.token(&token)
}

// dropToken forgets a token that the cloud has refused.
func (d *device) dropToken() {
	if err := d.store.DropToken(); err != nil {
		d.show.log.Warn("the refused token could not be removed", zap.Error(err))
	}
	d.show.token(nil)
}

// login is the three strings of MCONFIG, or false when they have to be fetched first.
func (d *device) login(now time.Time) (provision.MQTTCredentials, bool, error) {
	if d.cloud.HTTPSAuth {
		token, ok := d.cachedToken(now)
		if !ok {
			return provision.MQTTCredentials{}, false, nil
		}
		return provision.FromToken(d.clientID(), token), true, nil
	}
	deviceSecret, known, err := d.secret()
	if err != nil || !known {
		return provision.MQTTCredentials{}, false, err
	}
	return provision.Direct(d.names, d.clientID(), deviceSecret, d.cloud.Sign, d.cloud.TLS), true, nil
}

// served says that a login was accepted: a refusal from now on means that the token is
// worn.
func (d *device) served() { d.fresh = false }

// freshLogin says whether there is nothing newer to log in with: the token was fetched
// for this attempt, or a signature needs none.
func (d *device) freshLogin() bool { return d.fresh || !d.cloud.HTTPSAuth }
