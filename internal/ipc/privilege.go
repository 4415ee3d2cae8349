package ipc

import (
	"fmt"
	"net/http"
	"os"

	"airbridged/client/api"
)

var notPermitted = kind{api.NotPermitted, http.StatusForbidden, "The call is for root and the daemon's own user"}

// allows refuses whoever may not ask, by what the kernel says of the connection. One
// whose owner the kernel does not tell may ask what everybody may.
func (w who) allows(r *http.Request) error {
	c, own := clientOf(r.Context()), os.Geteuid()
	uid := int64(c.peer.UID)
	switch {
	case w == everybody, c.known && uid == 0, c.known && w == trusted && uid == int64(own):
		return nil
	case !c.known:
		return notPermitted.problem("the kernel does not say who this connection belongs to", "use the Unix socket")
	case w == root && uid == int64(own):
		return notPermitted.problem(fmt.Sprintf("this connection belongs to uid %d, and this is for root alone", uid), "ask as root, e.g. with sudo")
	}
	return notPermitted.problem(fmt.Sprintf("this connection belongs to uid %d", uid), fmt.Sprintf("ask as root, or as the daemon's user (uid %d)", own))
}
