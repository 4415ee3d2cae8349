package access

// What can be asked about.
const (
	ToPublish   = "publish"
	ToSubscribe = "subscribe"
)

// Explanation is which rule decides, and how.
type Explanation struct {
	Allowed bool
	Rule    string // its name, or "rule N"; "": no rule decides
	Why     string
	Limits  *Rule // the rule, where there is one
}

// Explain says whether somebody may publish to a topic, or subscribe to a filter.
func (c *Control) Explain(w Who, action, topic string) Explanation {
	r := c.Of(w)
	var err error
	if action == ToSubscribe {
		err = r.Subscribe(topic)
	} else {
		err = r.Publish(topic)
	}
	e := Explanation{Allowed: err == nil, Rule: r.Title(), Limits: r.rule}
	switch {
	case err != nil:
		e.Why = err.Error()
	case r.rule != nil:
		e.Why = r.rule.title() + " lets it " + action + " there"
	case c == nil || len(c.now().rules) == 0:
		e.Why = "there are no access rules: who can open a socket may do everything"
	default:
		e.Why = "root and the daemon's own user are never bound by access rules"
	}
	return e
}
