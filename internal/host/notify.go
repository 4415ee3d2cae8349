package host

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/coreos/go-systemd/v22/daemon"

	"airbridged/client/api"
	"airbridged/internal/bus"
)

// Notify tells the service manager (sd_notify(3)). Without one there is no
// NOTIFY_SOCKET, and this does nothing.
func Notify(states ...string) {
	_, _ = daemon.SdNotify(false, strings.Join(states, "\n"))
}

// TellStatus keeps the line that `systemctl status` shows. It is told anew when
// the state changes and never in between: a line that counts seconds would wake
// the service manager for nobody.
func TellStatus(ctx context.Context, board *bus.StatusBoard) error {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return nil
	}
	watch := board.Watch()
	defer watch.Close()
	last := ""
	for {
		e, err := watch.Next(ctx)
		if err != nil {
			return nil // asked to stop
		}
		if line := statusLine(board.Status().Status); e.Type == api.StateEvent && line != last {
			Notify("STATUS=" + line)
			last = line
		}
	}
}

// doing is each state in words.
var doing = map[string]string{
	"probing":        "Looking for the module",
	"attaching":      "Attaching to the mobile network",
	"registering":    "Registering the device at the cloud",
	"authenticating": "Fetching a token from the cloud",
	"connecting":     "Opening the MQTT session",
	"online":         "Online",
	"recovering":     "Recovering",
	"stopping":       "Closing the MQTT session",
}

// statusLine says in one line where the daemon stands, why, and what comes next.
func statusLine(st api.Status) string {
	var b strings.Builder
	words, ok := doing[st.State]
	if !ok {
		words = st.State
	}
	fmt.Fprintf(&b, "%s since %s", words, st.Since.Local().Format(time.DateTime))
	if st.Cause != "" {
		fmt.Fprintf(&b, ", after %s", st.Cause)
	}
	if st.NextAttemptAt != nil {
		fmt.Fprintf(&b, ", attempt %d at %s", st.Attempt+1, st.NextAttemptAt.Local().Format(time.TimeOnly))
	}
	if st.Hint != "" {
		fmt.Fprintf(&b, ": %s", st.Hint)
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' ' // a line end would begin another assignment
		}
		return r
	}, b.String())
}
