package ipc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/user"
	"strconv"
	"sync"

	"airbridged/client/api"
	"airbridged/internal/access"
	"airbridged/internal/outbox"
	"airbridged/internal/topic"
)

var (
	accessDenied = kind{api.AccessDenied, http.StatusForbidden, "An access rule does not allow it"}
	overRate     = kind{api.OverRate, http.StatusTooManyRequests, "The program publishes too fast"}
)

// asker is who a connection belongs to, for the access rules.
func (c client) asker() access.Who {
	return access.Who{Known: c.known, UID: c.peer.UID, GID: c.peer.GID, Groups: c.groups}
}

// rights are what a request's user may do now.
func (s *Server) rights(r *http.Request) access.Rights {
	return s.o.Access.Of(clientOf(r.Context()).asker())
}

// seeing is a route's access for who may see something.
func seeing(what access.See) func(access.Rights) error {
	return func(r access.Rights) error { return r.May(what) }
}

// everyone may ask.
func everyone(access.Rights) error { return nil }

// denied turns what the rules said into a problem. outcome begins its hint and says what
// did not happen; it may be empty.
func denied(err error, outcome string) error {
	d, ok := errors.AsType[*access.Denied](err)
	if !ok { // nil, too
		return err
	}
	hint := d.Hint
	if outcome != "" {
		hint = outcome + "; " + hint
	}
	if d.After > 0 {
		p := overRate.problem(d.Detail, hint)
		p.retryAfter = d.After
		return p
	}
	return accessDenied.problem(d.Detail, hint)
}

// mayPublish judges what is asked of a message before its body is read, and notes whose it
// is. asked says whether its priority was asked for.
func mayPublish(rights access.Rights, m *outbox.Message, asked bool) error {
	if err := rights.Publish(m.Topic); err != nil {
		return denied(err, notKept)
	}
	if !asked {
		m.Priority = outbox.Priority(rights.Usual())
	}
	if err := rights.Priority(uint8(m.Priority)); err != nil {
		return denied(err, notKept)
	}
	m.Owner, m.Share, m.OwnOnly = rights.Who().Owner(), rights.Share(), rights.DropsAll() != nil
	return nil
}

// mayCarry judges a payload by the rules.
func mayCarry(rights access.Rights, m *outbox.Message) error {
	err := rights.Payload(len(m.Payload))
	d, ok := errors.AsType[*access.Denied](err)
	if !ok {
		return err
	}
	p := payloadTooLarge.problem(d.Detail, notKept+"; "+d.Hint)
	size, limit := len(m.Payload), rights.MaxPayload()
	p.Size, p.Limit = &size, &limit
	return p
}

// isHis says whether a message belongs to whose rights they are.
func isHis(rights access.Rights, m outbox.Message) bool { return m.Owner == rights.Who().Owner() }

// maySee says whether a message is shown to him at all.
func maySee(rights access.Rights, m outbox.Message) bool {
	return isHis(rights, m) || rights.May(access.Messages) == nil
}

// errDenied ends a stream that a change of the rules forbids.
var errDenied = errors.New("no longer allowed")

// whileAllowed calls end, once, when the rules change so that they forbid a stream; stop
// ends the watch.
func (s *serving) whileAllowed(r *http.Request, may func(access.Rights) error, end func(why error)) (stop func()) {
	if s.o.Access == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(r.Context())
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			changed := s.o.Access.Changed()
			if err := may(s.rights(r)); err != nil {
				end(err)
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); watch.Wait() }
}

// access tells which rule decides, and how: of one's own user to everybody, of others to
// those whom no rule binds.
func (s *serving) access(w http.ResponseWriter, r *http.Request, q query) error {
	who, err := s.whom(r, q)
	if err != nil {
		return err
	}
	action, given := q.one("action")
	if !given {
		action = access.ToPublish
	}
	name := ""
	if list := q["topic"]; len(list) == 1 {
		name = list[0]
	}
	switch action {
	case access.ToPublish:
		err = topic.Check(name)
	case access.ToSubscribe:
		err = topic.CheckFilter(name)
	default:
		return badOption.problem("action="+shown(action)+" is unknown", "write publish or subscribe")
	}
	if err != nil {
		return badTopic.problem(err.Error(), "give one topic, as in ?action=publish&topic=/PRODUCT_KEY/DEVICE_NAME/update; to subscribe, a filter")
	}
	e := s.o.Access.Explain(who, action, name)
	writeJSON(w, http.StatusOK, "application/json", api.Access{
		Allowed: e.Allowed, Rule: e.Rule, Why: e.Why, Who: who.String(), Action: action, Topic: name, Limits: limitsOf(e.Limits),
	})
	return nil
}

// limitsOf is the form of a rule's limits; nil: no rule decides.
func limitsOf(r *access.Rule) *api.AccessLimits {
	if r == nil {
		return nil
	}
	l := &api.AccessLimits{
		Priority: priorityWord(outbox.Priority(r.Priority)), Share: r.Share, MaxPayload: r.MaxPayload, Drop: api.DropOwn, See: r.See.Words(),
	}
	if l.Share == 0 {
		l.Share = 100
	}
	if r.Rate > 0 {
		l.Rate = access.ShowRate(r.Rate)
	}
	if r.DropAll {
		l.Drop = api.DropAll
	}
	return l
}

// whom reads who is asked about: without a name, who asks.
func (s *serving) whom(r *http.Request, q query) (access.Who, error) {
	name, byUser := q.one("user")
	client, byClient := q.one("client")
	switch {
	case !byUser && !byClient:
		return clientOf(r.Context()).asker(), nil
	case byUser && byClient:
		return access.Who{}, badOption.problem("user and client are both given", "give one of them")
	}
	if err := s.rights(r).Free(); err != nil {
		return access.Who{}, denied(err, "without user and client it tells of you")
	}
	if byClient {
		return access.Who{Client: client}, nil
	}
	who, err := lookUp(name)
	if err != nil {
		return access.Who{}, badOption.problem(fmt.Sprintf("user %s: %v", shown(name), err), "give the name of a user of this machine, or his number")
	}
	return who, nil
}

// lookUp is a user as the system knows him. A process of his may be in other groups: who
// decides at a socket is the kernel.
func lookUp(name string) (access.Who, error) {
	u, err := user.Lookup(name)
	if err != nil {
		n, numberErr := strconv.ParseUint(name, 10, 32)
		if numberErr != nil {
			return access.Who{}, err
		}
		if u, err = user.LookupId(name); err != nil {
			return access.Who{Known: true, UID: uint32(n), GID: ^uint32(0)}, nil // without a name, and in no group that is known
		}
	}
	groups, err := u.GroupIds()
	if err != nil {
		return access.Who{}, err
	}
	who := access.Who{Known: true}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return access.Who{}, err
	}
	who.UID, who.GID = uint32(uid), uint32(gid)
	for _, text := range groups {
		if n, err := strconv.ParseUint(text, 10, 32); err == nil {
			who.Groups = append(who.Groups, uint32(n))
		}
	}
	return who, nil
}
