package config

import (
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"airbridged/internal/typo"
)

// subjects are the keys that say for whom a table is.
var subjects = []string{"user", "group", "uid", "gid", "client"}

// sights are the words of access.see.
var sights = []string{"status", "events", "trace", "messages"}

// checkAccess: every [[access]] says for whom and for what, in words that the system
// knows, and none stands in vain behind another.
func (l *loader) checkAccess() {
	for i := range l.cfg.Access {
		a := &l.cfg.Access[i]
		place := fmt.Sprintf("access[%d]", i)
		if who := l.subject(place); who != "" && !l.bad[place+"."+who] {
			l.resolve(a, place, who)
		}
		l.checkTopics(place, "publish", a.Publish)
		l.checkTopics(place, "subscribe", a.Subscribe)
		l.checkSights(place, a.See)
		if !slices.ContainsFunc([]string{"publish", "subscribe", "see", "drop"}, func(k string) bool { _, ok := l.where[place+"."+k]; return ok }) {
			l.wrong(l.at(place+"."), "access", "allows nothing, write publish or subscribe with a list of topic filters; publish = [] where nothing is what is meant")
		}
	}
	l.checkNames()
	l.checkShadows()
	l.checkTCP()
}

// subject returns the one key that says for whom a table is; "": that is a mistake.
func (l *loader) subject(place string) string {
	var who []string
	for _, k := range subjects {
		if _, ok := l.where[place+"."+k]; ok {
			who = append(who, k)
		}
	}
	switch {
	case len(who) == 0:
		l.wrong(l.at(place+"."), "access", "does not say for whom, write one of user, group, uid, gid and client")
	case len(who) > 1:
		l.wrong(l.where[place+"."+who[1]], "access."+who[1], "cannot stand beside "+who[0]+", write a table of its own for each")
	default:
		return who[0]
	}
	return ""
}

// resolve finds the kernel's numbers of whom a table is for.
func (l *loader) resolve(a *Access, place, who string) {
	var err error
	switch who {
	case "user":
		a.uid, err = lookUp(a.User, "user", func(s string) (string, error) {
			u, err := user.Lookup(s)
			if err != nil {
				return "", err
			}
			return u.Uid, nil
		})
	case "group":
		a.gid, err = lookUp(a.Group, "group", func(s string) (string, error) {
			g, err := user.LookupGroup(s)
			if err != nil {
				return "", err
			}
			return g.Gid, nil
		})
	case "uid":
		n := uint32(*a.UID)
		a.uid = &n
	case "gid":
		n := uint32(*a.GID)
		a.gid = &n
	case "client":
		err = l.client(a.Client)
	}
	if err != nil {
		l.unread(err)
		l.wrong(l.at(place+"."+who), "access."+who, err.Error())
	}
}

// lookUp asks the system for the number of a user or group.
func lookUp(name, what string, ask func(string) (string, error)) (*uint32, error) {
	text, err := ask(name)
	_, noUser := errors.AsType[user.UnknownUserError](err)
	_, noGroup := errors.AsType[user.UnknownGroupError](err)
	short := map[string]string{"user": "uid", "group": "gid"}[what]
	switch {
	case noUser || noGroup:
		return nil, fmt.Errorf("there is no %s %s on this machine, create it, or write another one, or its number with %s", what, quoted(name), short)
	case err != nil:
		return nil, fmt.Errorf("%s %s cannot be looked up: %w; write its number with %s", what, quoted(name), err, short)
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("%s %s has the number %s, which the kernel does not know; write another one", what, quoted(name), quoted(text))
	}
	id := uint32(n)
	return &id, nil
}

// client: a name of the password file.
func (l *loader) client(name string) error {
	m := &l.cfg.MQTT
	switch {
	case l.bad["mqtt.password_file"], m.PasswordFile != "" && m.Passwords == nil:
		return nil // said there
	case m.PasswordFile == "":
		return errors.New("is for programs on TCP, which show a name and a password: set mqtt.password_file to the file that mosquitto_passwd writes")
	case !m.Passwords.Has(name):
		return fmt.Errorf("%s has no password in %s, add it with mosquitto_passwd %s NAME, or write another name", quoted(name), m.PasswordFile, m.PasswordFile)
	}
	return nil
}

// checkTopics: every filter is one, once.
func (l *loader) checkTopics(element, key string, topics []string) {
	for i, t := range topics {
		at := l.at(element + "." + key)
		if err := l.topic(t); err != nil {
			l.wrong(at, "access."+key, fmt.Sprintf("entry %d %s", i+1, err))
		} else if j := slices.Index(topics, t); j < i {
			l.wrong(at, "access."+key, fmt.Sprintf("entry %d is the same as entry %d, delete it", i+1, j+1))
		} else if strings.HasPrefix(t, "$") && !strings.HasPrefix(t, "${") {
			l.wrong(at, "access."+key, fmt.Sprintf("entry %d %s begins with $, the cloud has no such topic, delete it; see lets a program read the daemon's own", i+1, quoted(t)))
		}
	}
}

// checkSights: see has words that exist.
func (l *loader) checkSights(place string, see []string) {
	for i, word := range see {
		if slices.Contains(sights, word) {
			continue
		}
		what := "write some of " + strings.Join(sights, ", ")
		if near := typo.Nearest(word, sights); near != "" {
			what = fmt.Sprintf("did you mean %q? (some of %s)", near, strings.Join(sights, ", "))
		}
		l.wrong(l.at(place+".see"), "access.see", fmt.Sprintf("entry %d %s is an unknown word, %s", i+1, quoted(word), what))
	}
}

// checkNames: refusals name a rule, so no two have one name.
func (l *loader) checkNames() {
	for i, a := range l.cfg.Access {
		if j := slices.IndexFunc(l.cfg.Access, func(b Access) bool { return b.Name == a.Name }); a.Name != "" && j < i {
			at := l.at(fmt.Sprintf("access[%d].name", i))
			l.wrong(at, "access.name", fmt.Sprintf("is the name of rule %d too (%s), write another one", j+1, l.at(fmt.Sprintf("access[%d].name", j))))
		}
	}
}

// checkShadows warns of rules that never decide, because an earlier one does.
func (l *loader) checkShadows() {
	for i, a := range l.cfg.Access {
		at := l.at(fmt.Sprintf("access[%d].", i))
		if a.uid != nil && *a.uid == 0 {
			l.warn(at, "access", "is for root, whom no rule binds: it has no effect")
			continue
		}
		for j, b := range l.cfg.Access[:i] {
			if why := shadows(b, a); why != "" {
				l.warn(at, "access", fmt.Sprintf("never decides: the rule at %s comes first, and %s; put this one before it, or delete it", l.at(fmt.Sprintf("access[%d].", j)), why))
				break
			}
		}
	}
}

// shadows says why the rule b takes all that a is for; "": it does not.
func shadows(b, a Access) string {
	switch {
	case a.uid != nil && b.uid != nil && *a.uid == *b.uid:
		return "is for the same user"
	case a.gid != nil && b.gid != nil && *a.gid == *b.gid:
		return "is for the same group"
	case a.Client != "" && a.Client == b.Client:
		return "is for the same client"
	case a.uid != nil && b.gid != nil && memberOf(*a.uid, *b.gid):
		return "is for a group that this user is in"
	}
	return ""
}

// memberOf says whether the system has a user in a group. It is asked for warnings
// alone: who decides at a socket is the kernel.
func memberOf(uid, gid uint32) bool {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return false
	}
	groups, err := u.GroupIds()
	return err == nil && slices.Contains(groups, strconv.FormatUint(uint64(gid), 10))
}

// checkTCP warns where rules and the port do not fit.
func (l *loader) checkTCP() {
	if len(l.cfg.Access) == 0 {
		return
	}
	some := slices.IndexFunc(l.cfg.Access, func(a Access) bool { return a.Client != "" })
	switch listens := l.cfg.MQTT.Listen != ""; {
	case listens && some < 0:
		l.warn(l.at("mqtt.listen"), "mqtt.listen", "programs there may do nothing: there are access rules, and none has client = ... for them")
	case !listens && some >= 0:
		l.warn(l.at(fmt.Sprintf("access[%d].client", some)), "access.client", "is for programs on TCP, and mqtt.listen is empty")
	}
}
