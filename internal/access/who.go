package access

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
)

// Who is who asks.
type Who struct {
	Known  bool     // the kernel says who it is: UID, GID and Groups are its word
	UID    uint32   // of a Unix socket's peer
	GID    uint32   // its primary group
	Groups []uint32 // its other ones
	Client string   // not Known: the name of a client on TCP that has shown its password
}

// Owner is what client ids, messages and bounds belong to. It is the same for one user
// on all sockets, and no two have the same.
func (w Who) Owner() string {
	switch {
	case w.Known:
		return "uid " + strconv.FormatUint(uint64(w.UID), 10)
	case len(w.Client) > longClient:
		return fmt.Sprintf("client sha256:%x", sha256.Sum256([]byte(w.Client)))
	case w.Client != "":
		return "client " + w.Client
	}
	return "tcp"
}

// longClient is how long the name of a client may be to stand in Owner itself.
const longClient = 64

// String names him for people.
func (w Who) String() string {
	if !w.Known && w.Client == "" {
		return "a client on TCP without a name"
	}
	return w.Owner()
}

// in says whether he is in a group.
func (w Who) in(gid uint32) bool { return w.Known && (w.GID == gid || slices.Contains(w.Groups, gid)) }
