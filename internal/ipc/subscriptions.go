package ipc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"airbridged/client/api"
	"airbridged/internal/access"
	"airbridged/internal/bus"
	"airbridged/internal/downlink"
	"airbridged/internal/intake"
)

// maxName is how long the name of a subscription may be, in bytes.
const maxName = 64

// readName reads the name of a subscription; "" is none.
func readName(q query) (string, error) {
	name, given := q.one("name")
	if !given {
		return "", nil
	}
	wrong := strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' })
	if name == "" || len(name) > maxName || wrong >= 0 {
		return "", badOption.problem("name="+shown(name)+" is no name for a subscription", "write 1 to 64 printable ASCII characters without blanks and slashes")
	}
	return name, nil
}

// owner is who a subscription belongs to. It is what the listener for MQTT programs
// calls the same user.
func (c client) owner() downlink.Who {
	if !c.known {
		return downlink.Who{Owner: "unknown", User: "unknown"}
	}
	return downlink.Who{Owner: fmt.Sprint("uid ", c.peer.UID), User: c.peer.User()}
}

// subscribeNamed streams what is kept under a name.
func (s *serving) subscribeNamed(w http.ResponseWriter, r *http.Request, name string, filters []string) error {
	if s.o.Downlink == nil {
		return notNow.problem("this daemon keeps nothing that comes down", "leave name out")
	}
	reader, err := s.o.Downlink.Subscribe(clientOf(r.Context()).owner(), name, filters)
	if err != nil {
		return namedProblem(name, err)
	}
	defer reader.Close()
	first := api.Subscribed{Type: api.SubscribedLine}
	filters, granted := reader.Filters() // those of before, too, where none were given
	may := subscribes(filters)
	if err := denied(may(s.rights(r)), ""); err != nil {
		return err
	}
	for _, f := range filters {
		first.Topics = append(first.Topics, api.Grant{Topic: f, Granted: granted[f]})
	}
	return s.stream(w, r, may, []streamLine{{first.Type, first}}, func(ctx context.Context) (streamLine, error) {
		it, err := reader.Next(ctx)
		switch {
		case err != nil || it.Gap > 0:
			return gapOf(it.Gap), err
		case it.Hub != nil:
			return itemLine(*it.Hub), nil
		}
		m := received(&it.Message.Message)
		m.ID = it.Message.ID
		return streamLine{m.Type, m}, nil
	})
}

// namedProblem turns what the store said of a name into a problem.
func namedProblem(name string, err error) *problem {
	switch {
	case errors.Is(err, downlink.ErrOther):
		return notPermitted.problem("the subscription "+shown(name)+" belongs to another user", "choose another name; GET /v1/subscriptions tells whose each is")
	case errors.Is(err, downlink.ErrNoFilter):
		return badFilter.problem("there is no subscription "+shown(name)+" yet, and no topic filter is given", "give at least one, as in ?name=pump&topic=/PRODUCT_KEY/DEVICE_NAME/get")
	case errors.Is(err, downlink.ErrTooMany):
		p := tooManyFilters.problem(err.Error(), "drop those that are not needed: DELETE /v1/subscriptions/{name}")
		p.retryAfter = 30 * time.Second
		return p
	case errors.Is(err, bus.ErrTooManyFilters):
		return tooManyFiltersProblem(err)
	case errors.Is(err, downlink.ErrUnknown):
		return unknownSubscription.problem("there is no subscription "+shown(name), "GET /v1/subscriptions lists those that there are")
	case errors.Is(err, downlink.ErrUnknownID):
		return unknownMessage.problem("no message of this id was handed out to "+shown(name), "give the id of a message line of its stream")
	}
	if why := intake.Of(err); why.Cause == intake.Disk {
		why.Advice = "free space where downlink.dir is, and look at the kernel log for errors of the disk"
		return diskProblem(why, "it is done, but may be undone by a restart unless the disk recovers before")
	}
	return diskFailing.problem("the subscription "+shown(name)+" could not be written: "+err.Error(),
		"it is done, and tried again by itself, but may be undone by a restart before that; look at the disk of downlink.dir")
}

// acknowledge ends the messages of a named subscription up to one of them.
func (s *serving) acknowledge(w http.ResponseWriter, r *http.Request, _ query) error {
	body, err := s.readPayload(w, r)
	if err != nil {
		return err
	}
	var ask api.Acknowledge
	if err := decodeStrictly(body, &ask); err != nil {
		return badRequest.problem(err.Error(), `write {"id":"..."}, with the id of a message line of the stream`)
	}
	name := r.PathValue("name")
	if s.o.Downlink == nil {
		return namedProblem(name, downlink.ErrUnknown)
	}
	n, err := s.o.Downlink.Ack(clientOf(r.Context()).owner(), name, ask.ID)
	if err != nil {
		return namedProblem(name, err)
	}
	writeJSON(w, http.StatusOK, "application/json", api.Acknowledged{Acknowledged: n})
	return nil
}

// listSubscriptions answers with everything that messages are kept for.
func (s *serving) listSubscriptions(w http.ResponseWriter, r *http.Request, _ query) error {
	rights := s.rights(r)
	all := rights.May(access.Messages) == nil
	answer := api.Subscriptions{Subscriptions: []api.Subscription{}}
	if s.o.Downlink != nil {
		for _, i := range s.o.Downlink.List() {
			if !all && i.Owner != rights.Who().Owner() {
				continue
			}
			one := api.Subscription{Name: i.Name, User: i.User, Kind: i.Kind, Filters: i.Filters, Waiting: i.Waiting, Bytes: i.Bytes, Since: i.Since}
			if one.Filters == nil {
				one.Filters = []string{}
			}
			answer.Subscriptions = append(answer.Subscriptions, one)
		}
	}
	writeJSON(w, http.StatusOK, "application/json", answer)
	return nil
}

// dropSubscription ends one, with what is kept for it.
func (s *serving) dropSubscription(w http.ResponseWriter, r *http.Request, q query) error {
	name, client := r.PathValue("name"), clientOf(r.Context())
	kind, given := q.one("kind")
	if given && kind != downlink.HTTP && kind != downlink.MQTT && kind != downlink.Kept {
		return badOption.problem("kind="+shown(kind)+" is not possible", "write http, mqtt or kept; it is only needed where a name and a client id are the same")
	}
	var found []downlink.Info
	if s.o.Downlink != nil {
		for _, i := range s.o.Downlink.List() {
			if i.Name == name && (!given || i.Kind == kind) {
				found = append(found, i)
			}
		}
	}
	switch {
	case len(found) == 0:
		return namedProblem(name, downlink.ErrUnknown)
	case len(found) > 1:
		return badOption.problem("several subscriptions are called "+shown(name), "say which one: ?kind="+found[0].Kind+" or ?kind="+found[1].Kind+"; nothing was dropped")
	case found[0].Owner != client.owner().Owner && !client.trusted():
		return namedProblem(name, downlink.ErrOther)
	}
	one := found[0]
	if err := s.o.Downlink.Drop(one.Kind, name); err != nil {
		return namedProblem(name, err)
	}
	s.o.Log.Info("subscription dropped on request", zap.String("kind", one.Kind), zap.String("name", name), zap.Int("messages", one.Waiting),
		zap.Uint32("uid", client.peer.UID), zap.Int32("pid", client.peer.PID))
	writeJSON(w, http.StatusOK, "application/json", api.Drops{Dropped: one.Waiting})
	return nil
}
