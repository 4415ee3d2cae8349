package passwords

import (
	"errors"
	"strings"
	"testing"
)

// written is what mosquitto_passwd 2.0.11 wrote: -b, and -H sha512 for the last.
const written = `ann:$7$101$3SW2XXtIRoGArp/G$qnlfiQIlUCN/0aofuvf9XTFWz6eUzFyAZ9EkZOLSFkS5GfVnwyNaR+bn2CwdQ9YW2EHNQBoVtvECIZbnfMwHag==
# a word

bob:$7$101$rL+/D15raDP92Trf$FKKgsWGIaNaquOvZPRg5o7q6dVHHqn4dHI13bjxjops94Zxa0geFFalBm2PDrTHfX5ocsAnBqEIGIuw9Z8WW4g==
carl:$6$itBEmQesBov8yyDn$eb6UENLkIM/FJ04k35QdCqCSTinNjJaannuBrc5zKExB37zOfEqnQZdgaHPq6diJUmRO9dYavG7Fgs7cEJ2xRA==
`

func TestCheck(t *testing.T) {
	f, err := Parse([]byte(written))
	if err != nil || f.Len() != 3 || !f.Has("ann") || f.Has("eve") {
		t.Fatalf("%+v, %v", f, err)
	}
	for _, c := range []struct {
		name, password string
		want           bool
	}{
		{"ann", "geheim", true},
		{"bob", "x y", true},
		{"carl", "old", true},
		{"ann", "x y", false},
		{"ann", "", false},
		{"eve", "geheim", false},
		{"", "", false},
		{"carl", strings.Repeat("x", 2000), false},
	} {
		if got := f.Check(c.name, []byte(c.password)); got != c.want {
			t.Errorf("%q with %q: %v", c.name, c.password, got)
		}
	}
	if new(File).Check("ann", []byte("geheim")) {
		t.Error("an empty file knows somebody")
	}
}

// Every mistake names its line and shows nothing of it.
func TestMistakes(t *testing.T) {
	good := strings.SplitAfter(written, "\n")
	for text, want := range map[string]string{
		good[0] + "bob:s3cret\n":                                   "line 2 has a password that is not hashed",
		good[0] + "s3cret\n":                                       `line 2 has no "name:"`,
		":" + strings.TrimPrefix(good[0], "ann:"):                  `line 1 has no "name:"`,
		good[0] + good[3] + good[0]:                                "line 3 has a name that stands further up",
		"ann:$7$0$c2FsdA==$aGFzaA==\n":                             "line 1 has a hash that is none",
		"ann:$7$101$c2FsdA==$aGFzaA==\n":                           "line 1 has a hash that is none",
		"ann:$9$101$c2FsdA==$aGFzaA==\n":                           "line 1 has a hash that is none",
		"ann:$6$!!$" + good[4][strings.LastIndex(good[4], "$")+1:]: "line 1 has a hash that is none",
	} {
		_, err := Parse([]byte(text))
		line, ok := errors.AsType[*LineError](err)
		if !ok || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v (%+v), want %q", text, err, line, want)
		}
	}
}

// FuzzParse: no file makes it panic, and what it takes can be checked against.
func FuzzParse(f *testing.F) {
	f.Add([]byte(written))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		for name, e := range file.users {
			if e.iterations < 1000 && file.Check(name, []byte("\x00never\xff")) {
				t.Fatal("anything will do")
			}
		}
	})
}
