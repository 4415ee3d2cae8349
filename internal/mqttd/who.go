package mqttd

import (
	"net"

	"airbridged/internal/access"
	"airbridged/internal/peer"
)

// Who is who is at the other end of a connection: on a Unix socket by the kernel's
// word, on TCP by name and password.
type Who struct {
	Cred   peer.Cred
	Groups []uint32 // the other groups of Cred
	Local  bool     // Cred is what the kernel said
	Name   string   // of a client on TCP that showed its password
}

// asker is who it is for the access rules.
func (w Who) asker() access.Who {
	return access.Who{Known: w.Local, UID: w.Cred.UID, GID: w.Cred.GID, Groups: w.Groups, Client: w.Name}
}

// owner is what client ids, wills and bounds belong to.
func (w Who) owner() string { return w.asker().Owner() }

// person is the owner for people.
func (w Who) person() string {
	if w.Local {
		return w.Cred.User() + " (" + w.owner() + ")"
	}
	return w.owner()
}

// user is the owner's name alone.
func (w Who) user() string {
	switch {
	case w.Local:
		return w.Cred.User()
	case w.Name != "":
		return w.Name
	}
	return "tcp"
}

// program is the name for the account of the data connection.
func (w Who) program() string {
	switch {
	case w.Local:
		return w.Cred.Program()
	case w.Name != "":
		return w.Name
	}
	return "mqtt on tcp"
}

func whoIs(nc net.Conn) Who {
	cred, err := peer.Of(nc)
	if err != nil {
		return Who{}
	}
	groups, _ := peer.Groups(nc) // where the kernel does not tell, it is in none
	return Who{Cred: cred, Groups: groups, Local: true}
}
