package mqttd

import (
	"net"
	"strconv"

	"airbridged/internal/peer"
)

// Who is who is at the other end of a connection: on a Unix socket by the kernel's
// word, on TCP by name and password.
type Who struct {
	Cred  peer.Cred
	Local bool   // Cred is what the kernel said
	Name  string // of a client on TCP that showed its password
}

// owner is what client ids, wills and bounds belong to.
func (w Who) owner() string {
	switch {
	case w.Local:
		return "uid " + strconv.FormatUint(uint64(w.Cred.UID), 10)
	case w.Name != "":
		return "client " + w.Name
	}
	return "tcp"
}

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
	return Who{Cred: cred, Local: err == nil}
}
