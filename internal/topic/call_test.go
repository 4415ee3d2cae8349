package topic

import "testing"

func TestCall(t *testing.T) {
	for name, want := range map[string][2]string{
		"/sys/pk/dn/rrpc/request/42":     {"42", "/sys/pk/dn/rrpc/response/42"},
		"/ext/rrpc/42/user/get":          {"42", "/ext/rrpc/42/user/get"},
		"/ext/rrpc/42/":                  {"42", "/ext/rrpc/42/"},
		"/ext/rrpc/42":                   {"42", "/ext/rrpc/42"},
		"/sys/pk/dn/rrpc/request/":       {},
		"/sys/pk/dn/rrpc/request":        {},
		"/sys/pk/dn/rrpc/request/4/2":    {},
		"/sys/pk/dn/rrpc/response/42":    {},
		"/sys/pk/dn/thing/service/x/set": {},
		"/ext/rrpc/":                     {},
		"/ext/rrpc":                      {},
		"ext/rrpc/42/x":                  {},
		"":                               {},
	} {
		id, answer, ok := Call(name)
		if ok != (want[0] != "") || ok && (id != want[0] || answer != want[1]) {
			t.Errorf("%q: %q, %q, %v", name, id, answer, ok)
		}
		if ok && !IsAnswer(answer) {
			t.Errorf("%q is no topic of an answer", answer)
		}
	}
	if IsAnswer("/sys/pk/dn/rrpc/request/42") || IsAnswer("/pk/dn/update") {
		t.Error("what is no answer counts as one")
	}
}
