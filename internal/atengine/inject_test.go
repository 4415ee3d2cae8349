package atengine

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestP24InjectionIsRefusedBeforeAByteIsWritten(t *testing.T) {
	story(t, Options{}, script(nil), func(r *rig) {
		for _, line := range []string{
			"", "AT\r", "AT\n", "AT+CSQ\rAT+CFUN=0", `AT+MSUB="a` + "\r\nAT+RESET\r" + `",1`, `AT+MPUB="t",0,0,"` + "\x00" + `"`,
			`AT+MCONFIG="a","b","` + "\x1a" + `"`, "AT+X=\x1b", "\rAT", "AT\r=1", `AT+MSUB="a"b",1`, `AT+X="`, `AT"+X`,
		} {
			err := r.fails(Command{Line: line}, ErrUnsafe)
			if text := err.Error(); strings.ContainsAny(text, "\r\n\x00\x1a\x1b") || strings.Contains(text, "CFUN") || strings.Contains(text, "RESET") {
				t.Errorf("of %q the error %q repeats too much", line, text)
			}
			r.fails(Command{Line: line, Prompt: ">", Data: []byte("x")}, ErrUnsafe)
		}
		if got := r.port.wrote(); got != "" {
			t.Fatalf("on the wire: %q", got)
		}
		// It neither poisons nor needs a port.
		r.do(Command{Line: "AT"})
	})
}

// FuzzDo checks that whatever a command is made of, what is on the wire is one
// command or nothing.
func FuzzDo(f *testing.F) {
	for _, seed := range []string{"AT", "AT+CSQ\rAT+CFUN=0", `AT+MPUB="t",0,0,"\22\0D"`, `AT+X="`, "\x1a", "AT\x00", "AT+X=\xff\xfe", "=", "?"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		story(t, Options{}, func(m *module, _ string) { m.send(ok) }, func(r *rig) {
			_, err := r.engine.Do(r.ctx, Command{Line: line, Timeout: time.Second})
			synctest.Wait()
			got := r.port.wrote()
			switch {
			case errors.Is(err, ErrUnsafe):
				if got != "" {
					t.Fatalf("%q was refused, but on the wire is %q", line, got)
				}
			case err != nil:
				t.Fatal(err)
			case got != line+"\r" || strings.ContainsAny(line, "\r\n\x00\x1a\x1b") || line == "" || strings.Count(line, `"`)%2 != 0:
				t.Fatalf("of %q on the wire is %q", line, got)
			}
		})
	})
}
