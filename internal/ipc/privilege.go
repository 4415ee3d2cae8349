package ipc

import (
	"fmt"
	"net/http"
	"os"

	"airbridged/client/api"
)

var notPermitted = kind{api.NotPermitted, http.StatusForbidden, "The call is for root and the daemon's own user"}

// privileged refuses everybody but root and the daemon's own user, by what the
// kernel says of the connection. Calls that change how the daemon works begin
// with it. A connection whose owner the kernel does not tell is refused.
func privileged(r *http.Request) error {
	c := clientOf(r.Context())
	switch own := os.Geteuid(); {
	case !c.known:
		return notPermitted.problem("the kernel does not say who this connection belongs to", "use the Unix socket")
	case c.peer.UID == 0, int(c.peer.UID) == own:
		return nil
	default:
		return notPermitted.problem(fmt.Sprintf("this connection belongs to uid %d", c.peer.UID),
			fmt.Sprintf("ask as root, or as the daemon's user (uid %d)", own))
	}
}

// rootOnly refuses everybody but root.
func rootOnly(r *http.Request) error {
	if err := privileged(r); err != nil {
		return err
	}
	if uid := clientOf(r.Context()).peer.UID; uid != 0 {
		return notPermitted.problem(fmt.Sprintf("this connection belongs to uid %d, and this is for root alone", uid), "ask as root, e.g. with sudo")
	}
	return nil
}
