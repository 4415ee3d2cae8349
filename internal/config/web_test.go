package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The page shows topics, operator and IMEI: from outside nobody gets at it without a
// password, nor anybody at all whom a rule of [[access]] would keep from seeing it.
func TestThePageAsksForAPasswordWhereItMust(t *testing.T) {
	surroundings(t)
	file := filepath.Join(t.TempDir(), "passwords")
	// The password is "secret", the salt "salt".
	line := "ann:$6$c2FsdA==$E491yrR9AdCoE7rbOPYS3EZgSuZpVE65AD9xko08s6floNesY/Zpe9zMVvLix4S2FiQSJ99RIkNvhHomNO9uLw==\n"
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	nobody := filepath.Join(t.TempDir(), "nobody")
	if err := os.WriteFile(nobody, []byte("# nobody yet\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const rule = "[[access]]\nuid = 4711\npublish = [\"/a/b\"]\n"
	for _, c := range []struct{ listen, file, more, want string }{
		{"", "", rule, ""},
		{"127.0.0.1:8080", "", "", ""},
		{"localhost:8080", "", "", ""},
		{"[::1]:8080", "", "", ""},
		{"unix:/run/page.sock", "", "", ""},
		{"0.0.0.0:8080", file, "", ""},
		{"[::]:8080", file, rule, ""},
		{"192.168.1.7:80", file, "", ""},
		{"127.0.0.1:8080", file, rule, ""},
		{"0.0.0.0:8080", "", "", "web.password_file"},
		{"192.168.1.7:80", "", "", "web.password_file"},
		{"127.0.0.1:8080", "", rule, "[[access]]"},
		{"unix:/run/page.sock", "", rule, "[[access]]"},
		{"127.0.0.1:8080", "/none", "", "does not exist"},
		{"0.0.0.0:8080", nobody, "", "names nobody"},
		{"127.0.0.1", "", "", "has no port"},
		{"127.0.0.1:0", "", "", "port from 1"},
		{"gateway:8080", "", "", "127.0.0.1:8080"},
		{":8080", "", "", "127.0.0.1:8080"},
		{"*:8080", "", "", "127.0.0.1:8080"},
		{"/run/page.sock", "", "", "unix:/run/page.sock"},
		{"unix:page.sock", "", "", "absolute path"},
		{"127.0.0.1:9481", "", "", "metrics.listen"},
		{"unix:/run/airbridged/airbridged.sock", "", "", "socket.path"},
	} {
		got := mistakes(t, least+"[web]\nlisten = "+literal(c.listen)+"\npassword_file = "+literal(c.file)+"\n"+c.more)
		if c.want == "" && got != nil || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
			t.Errorf("listen %q, file %q, %q: %q", c.listen, c.file, c.more, got)
		}
	}
}
