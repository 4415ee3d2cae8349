package unit

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"airbridged/internal/config"
)

// Service is what the unit of a configuration hands the daemon and keeps from it; the
// zero value where no unit runs that configuration.
func Service(ctx context.Context, path string) config.Service {
	u, err := Of(ctx, path)
	if err != nil {
		return config.Service{}
	}
	return u.Service()
}

// Service is what the unit hands the daemon and keeps from it.
func (u *Unit) Service() config.Service {
	list, emptied := u.Credentials()
	s := config.Service{Name: u.Name, Writable: u.Writable, Credentials: map[string]config.Credential{}}
	for _, c := range list {
		switch {
		case !c.There() && c.Setting == "LoadCredential" && !hidden(c.Path): // nothing is handed over then
			if c.Name == "product-secret" {
				s.NoSecret = fmt.Sprintf("write the ProductSecret into %s, with mode 0600 (%s hands it over)", c.Path, u.Name)
			}
		case c.Readable():
			s.Credentials[c.Name] = config.Credential{From: c.Path, File: c.Path}
		default:
			s.Credentials[c.Name] = config.Credential{From: c.Setting + "="}
		}
	}
	if emptied != "" {
		s.NoSecret = u.takenAway(emptied)
	}
	return s
}

// hidden says whether this user cannot see if a file exists.
func hidden(path string) bool {
	_, err := os.Stat(path)
	return os.IsPermission(err)
}

// takenAway tells of a drop-in that empties LoadCredential=. Container managers bring
// one (/run/systemd/system/service.d), because systemd cannot mount credentials in some
// containers.
func (u *Unit) takenAway(by string) string {
	was := ""
	for _, file := range u.files {
		if file == by {
			break
		}
		one := &Unit{Name: u.Name, files: []string{file}}
		list, _ := one.Credentials()
		if i := slices.IndexFunc(list, func(c Credential) bool { return c.Name == "product-secret" && c.There() && c.Path != "" }); i >= 0 {
			was = list[i].Path
		}
	}
	words := "systemd hands none over: " + by + " empties LoadCredential="
	if was != "" {
		words = was + " is there, but " + words
	}
	return words + "; " + anotherWay
}

// anotherWay to hand a secret over.
const anotherWay = "write it into /etc/airbridged/product-secret, with mode 0600 and the daemon's user as its owner, and name that file here"

// Self is what this process can tell of the service that it runs in, without asking
// systemd.
func Self() config.Service {
	name := Own()
	if !strings.HasPrefix(name, "airbridged") || os.Getenv("CREDENTIALS_DIRECTORY") != "" {
		return config.Service{}
	}
	return config.Service{NoSecret: "systemd hands no credential over: a drop-in of " + name + " empties LoadCredential=, as container managers' do " +
		"(systemctl cat " + name + " shows it); " + anotherWay}
}
