package ipc

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"airbridged/client/api"
	"airbridged/internal/access"
	"airbridged/internal/bus"
	"airbridged/internal/topic"
)

// subscribe streams the downlink messages of one or more filters.
func (s *serving) subscribe(w http.ResponseWriter, r *http.Request, q query) error {
	name, err := readName(q)
	if err != nil {
		return err
	}
	filters, err := readFilters(q, name != "")
	if err != nil {
		return err
	}
	may := subscribes(filters)
	if err := denied(may(s.rights(r)), ""); err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		newLineWriter(w, r)
		return nil
	}
	if name != "" {
		return s.subscribeNamed(w, r, name, filters)
	}
	sub, err := s.o.Hub.SubscribeFor(fmt.Sprint("uid ", clientOf(r.Context()).user()), filters)
	switch {
	case errors.Is(err, bus.ErrTooManyFilters):
		return tooManyFiltersProblem(err)
	case err != nil:
		return badFilter.problem(err.Error(), "give valid filters")
	}
	defer sub.Close()
	first := api.Subscribed{Type: api.SubscribedLine}
	granted := sub.Granted()
	for _, f := range filters {
		first.Topics = append(first.Topics, api.Grant{Topic: f, Granted: granted[f]})
	}
	return s.stream(w, r, may, []streamLine{{first.Type, first}}, func(ctx context.Context) (streamLine, error) {
		it, err := sub.Next(ctx)
		return itemLine(it), err
	})
}

// subscribes is the access of who may have all of these filters.
func subscribes(filters []string) func(access.Rights) error {
	return func(rights access.Rights) error {
		for _, f := range filters {
			if err := rights.Subscribe(f); err != nil {
				return err
			}
		}
		return nil
	}
}

func tooManyFiltersProblem(err error) *problem {
	p := tooManyFilters.problem(err.Error(), "use wildcards, or end subscriptions that are not needed, and try again")
	p.retryAfter = 30 * time.Second
	return p
}

// wildcards is the hint of a bad filter.
const wildcards = "+ stands for one level and # for all that follow; in a query, # is written %23"

// readFilters reads and checks the filters, each once, in the order given. A name may
// have none: it has those that it was given before.
func readFilters(q query, named bool) ([]string, error) {
	var filters []string
	for _, f := range q["topic"] {
		if err := topic.CheckFilter(f); err != nil {
			return nil, badFilter.problem(err.Error(), wildcards)
		}
		if topic.IsLocal(f) {
			return nil, reservedTopic.problem("topics under "+topic.LocalPrefix+" are not on this socket", "GET /v1/status and GET /v1/events tell the daemon's state")
		}
		if !slices.Contains(filters, f) {
			filters = append(filters, f)
		}
	}
	switch {
	case len(filters) == 0 && !named:
		return nil, badFilter.problem("no topic filter is given", "give at least one, as in ?topic=/PRODUCT_KEY/DEVICE_NAME/get")
	case len(filters) > bus.MaxFilters:
		return nil, badFilter.problem(fmt.Sprintf("%d filters are given; the cloud takes %d of one device", len(filters), bus.MaxFilters), "use wildcards")
	}
	return filters, nil
}

// itemLine is the stream's form of what the hub hands out.
func itemLine(it bus.Item) streamLine {
	switch {
	case it.Message != nil:
		m := received(it.Message)
		if id, left, ok := bus.CallOf(it.Message); ok {
			return streamLine{api.CallLine, api.Call{
				Type: api.CallLine, ID: id, Topic: m.Topic, Payload: m.Payload, Encoding: m.Encoding, DeadlineMS: max(left.Milliseconds(), 0),
			}}
		}
		return streamLine{m.Type, m}
	case it.Gap > 0:
		return gapOf(it.Gap)
	case it.Refused != "":
		return streamLine{api.RefusedLine, api.Refused{Type: api.RefusedLine, Topic: it.Refused, Reason: it.Reason}}
	}
	return streamLine{api.GrantedLine, api.Granted{Type: api.GrantedLine, Topic: it.Granted}}
}

// received is the line of a message.
func received(m *bus.Message) api.Received {
	line := api.Received{Type: api.MessageLine, Topic: m.Topic, ReceivedAt: m.ReceivedAt.UTC()}
	line.Payload, line.Encoding = encodePayload(m.Payload)
	return line
}

// encodePayload keeps every byte: as text where it is valid UTF-8, else as
// standard base64 with padding (RFC 4648).
func encodePayload(p []byte) (text, encoding string) {
	if utf8.Valid(p) {
		return string(p), api.UTF8
	}
	return base64.StdEncoding.EncodeToString(p), api.Base64
}

// events streams state changes and warnings, beginning with the present state.
func (s *serving) events(w http.ResponseWriter, r *http.Request, _ query) error {
	if r.Method == http.MethodHead {
		newLineWriter(w, r)
		return nil
	}
	watch := s.o.Board.Watch()
	defer watch.Close()
	return s.stream(w, r, seeing(access.Events), nil, func(ctx context.Context) (streamLine, error) {
		e, err := watch.Next(ctx)
		return streamLine{e.Type, bus.Line(e)}, err
	})
}
