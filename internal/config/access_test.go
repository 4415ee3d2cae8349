package config

import (
	"reflect"
	"strings"
	"testing"

	"airbridged/internal/passwords"
)

// Whom a rule is for is looked up when the file is read, and what the system does not
// know is a mistake: a rule for nobody would silently let nobody in.
func TestAccessRulesAreHeldAgainstTheSystem(t *testing.T) {
	surroundings(t)
	const one = "[[access]]\npublish = [\"/a\"]\n"
	for _, c := range []struct{ text, want string }{
		{one + `user = "nobody-of-this-name"`, `3:1: access.user: there is no user "nobody-of-this-name" on this machine, create it, or write another one, or its number with uid`},
		{one + `group = "nobody-of-this-name"`, `3:1: access.group: there is no group "nobody-of-this-name" on this machine, create it, or write another one, or its number with gid`},
		{one + `user = "1000"`, `3:1: access.user: there is no user "1000"`},
		{one + `client = "nodered"`, `3:1: access.client: is for programs on TCP, which show a name and a password: set mqtt.password_file`},
		{one + "uid = 1\ngid = 1", "4:1: access.gid: cannot stand beside uid"},
		{one + "uid = 1\nrate = \"10\"", `4:1: access.rate: "10" is no rate, write messages in a second, a minute or an hour: "10/s", "6/m", "100/h"`},
		{one + "uid = 1\nrate = \"0/s\"", `access.rate: lets nothing through`},
		{one + "uid = 1\nshare = \"0%\"", `access.share: is 0%, write a share from "1%" to "100%"`},
		{one + "uid = 1\nshare = \"half\"", `access.share: "half" is no share, write a percentage: "25%"`},
		{one + "uid = 1\nsee = [\"statu\"]", `access.see: entry 1 "statu" is an unknown word, did you mean "status"?`},
		{one + "uid = 1\ndrop = \"none\"", `access.drop: unknown word "none", write one of own, all`},
		{"[[access]]\nuid = 1\nsubscribe = [\"$airbridge/state\"]", `access.subscribe: entry 1 "$airbridge/state" begins with $`},
		{"[[access]]\nuid = 1\npublish = [\"/a/#/b\"]", `access.publish: entry 1 "/a/#/b": filter has # before its last level`},
		{"[[access]]\nuid = 1", "access: allows nothing"},
		{one + "uid = 1\nname = \"a\"\n" + one + "uid = 2\nname = \"a\"", `access.name: is the name of rule 1 too`},
		{one + "uid = 1\nname = \"a\\u202eb\"", `access.name: "a\u202eb" has a character that is no good in a name`},
	} {
		got := strings.Join(mistakes(t, "[device]\nproduct_key = \"b1KCi45LcCP\"\n"+c.text+"\n"), "\n")
		number, rest, _ := strings.Cut(c.want, ":")
		if line := map[string]string{"3": "5", "4": "6"}[number]; line != "" {
			c.want = line + ":" + rest
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s\n got: %s\nwant: %s", c.text, got, c.want)
		}
	}
}

// A rule that an earlier one keeps from ever deciding is what its owner did not mean.
func TestAccessRulesInVain(t *testing.T) {
	surroundings(t)
	rule := func(keys string) string { return "[[access]]\npublish = [\"/a\"]\n" + keys + "\n" }
	for _, c := range []struct{ why, text, want string }{
		{"the same user by name and by number", rule("user = \"daemon\"") + rule("uid = 1"), "never decides: the rule at "},
		{"a user behind his group", rule("group = \"daemon\"") + rule("user = \"daemon\""), "is for a group that this user is in"},
		{"the same group", rule("group = \"daemon\"") + rule("gid = 1"), "is for the same group"},
		{"a user before his group", rule("user = \"daemon\"") + rule("group = \"daemon\""), ""},
		{"root", rule("uid = 0"), "is for root, whom no rule binds"},
		{"a port, and no rule for it", "[mqtt]\nlisten = \"127.0.0.1:1883\"\n" + rule("uid = 1"), "programs there may do nothing"},
	} {
		_, warnings, err := load(t, least+c.text)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range warnings {
			if !strings.Contains(w.Text, "this version cannot do that yet") {
				got = append(got, w.String())
			}
		}
		if text := strings.Join(got, "\n"); c.want == "" && text != "" || !strings.Contains(text, c.want) {
			t.Errorf("%s: %q, want %q", c.why, text, c.want)
		}
	}
}

func TestAccessOfClients(t *testing.T) {
	surroundings(t)
	hash := "$7$101$AAAAAAAAAAAAAAAA$" + strings.Repeat("A", 86) + "=="
	if _, err := passwords.Parse([]byte("nodered:" + hash + "\n")); err != nil {
		t.Fatal(err)
	}
	file := write(t, t.TempDir(), "passwords", "nodered:"+hash+"\n")
	text := func(name string) string {
		return least + "[mqtt]\nlisten = \"127.0.0.1:1883\"\npassword_file = \"" + file + "\"\n[[access]]\nclient = \"" + name + "\"\npublish = []\n"
	}
	cfg, _, err := load(t, text("nodered"))
	if err != nil || cfg.Access[0].Client != "nodered" {
		t.Fatal(err)
	}
	if uid, gid := cfg.Access[0].Subject(); uid != nil || gid != nil {
		t.Error("a client on TCP is no user")
	}
	if _, _, err = load(t, text("nodred")); err == nil || !strings.Contains(err.Error(), `"nodred" has no password in `+file) {
		t.Error(err)
	}
}

func TestAccessRates(t *testing.T) {
	surroundings(t)
	for text, want := range map[string]float64{"10/s": 10, "6/m": 0.1, "100/h": 100.0 / 3600, "": 0, "7/m": 7.0 / 60, "120/m": 2} {
		cfg, _, err := load(t, least+"[[access]]\nuid = 1\npublish = []\nrate = \""+text+"\"\n")
		if err != nil || cfg.Access[0].Rate != want {
			t.Errorf("%q: %v, %v", text, cfg.Access, err)
			continue
		}
		if again, _, err := load(t, cfg.Dump()); err != nil || !reflect.DeepEqual(again.Access, cfg.Access) {
			t.Errorf("%q: the dump is another rule: %v", text, err)
		}
	}
}
