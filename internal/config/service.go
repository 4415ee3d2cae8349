package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"airbridged/internal/durable"
	"airbridged/internal/secret"
)

// Service is what a service manager hands the daemon and what it keeps from it, for
// who looks at a configuration from outside of the service. The zero value: nothing is
// known of it.
type Service struct {
	Name        string                // airbridged.service
	Credentials map[string]Credential // that it hands over, by name
	NoSecret    string                // why it hands none over, and what to do; "": nothing to say
	Writable    func(dir string) bool // whether the daemon may write there; nil: everywhere
}

// Credential is a secret that the service manager hands over.
type Credential struct {
	From string // where it takes it from, for people
	File string // that holds it in plain text; "": only the manager can read it
}

// handedOver is the secret of a credential, read as the manager would; it is empty where
// only the manager can read it, and trust says so.
func (l *loader) handedOver(name string) (list []source, trust bool) {
	c, ok := l.service.Credentials[name]
	switch {
	case !ok || os.Getenv(credentialsVariable) != "": // then they are here, as they are in the service
		return nil, false
	case c.File == "":
		return nil, true
	}
	return []source{{"credential " + name + " (" + c.From + ")", func() (secret.Text, error) {
		text, err := readSecret(c.File, true)
		if _, look := os.Stat(c.File); errors.Is(look, fs.ErrPermission) {
			err = fmt.Errorf("cannot be read by uid %d, ask as root", os.Geteuid())
		}
		return text, err
	}}}, false
}

// noSecret says what to do where there is none.
func (l *loader) noSecret() string {
	if l.service.NoSecret != "" {
		return "no secret anywhere, " + l.service.NoSecret
	}
	return "no secret anywhere, name the file that holds the ProductSecret, or give the systemd credential " +
		productCredential + " or $" + productSecretVariable
}

// directories compares each directory of the configuration with what the service may
// write to.
func (l *loader) directories() {
	if l.service.Writable == nil {
		return
	}
	for _, k := range keys {
		if !strings.HasSuffix(k.name, ".dir") || l.bad[k.name] {
			continue
		}
		dir, err := strconv.Unquote(k.show(&l.cfg))
		if err != nil || dir == "" || l.service.Writable(dir) {
			continue
		}
		l.wrong(l.at(k.name), k.name, fmt.Sprintf("%s is closed to %s, whose sandbox leaves it read-only; open it by a drop-in with %s "+
			"(data-directory.conf of the examples, in /etc/systemd/system/%[2]s.d), or write a directory below %s", dir, l.service.Name, durable.Opening(dir), l.stateBase()))
	}
}

// stateBase is where the service may write without a drop-in.
func (l *loader) stateBase() string {
	base := strings.TrimSuffix(l.service.Name, ".service")
	return "/var/lib/" + strings.Replace(base, "@", "-", 1)
}
