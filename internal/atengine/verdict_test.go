package atengine

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// login is a command that is completed by a line of its own.
var login = Command{Line: "AT+MCONNECT=1,300", Completes: isLine("CONNACK OK")}

func isLine(text string) func([]byte) bool {
	return func(line []byte) bool { return string(line) == text }
}

// The vendor's page on MCONNECT: OK, and ERROR where CONNACK OK was due. It was taken
// for nobody's, so that a refused login was waited out, for ever. Only the refusal that
// can be of no other command counts; everything else stays a reason for doubt.
func TestRefusalBehindOK(t *testing.T) {
	subscribe := Command{Line: `AT+MSUB="f",1`, Completes: isLine("SUBACK")}
	table := map[string]string{login.Line: ok, subscribe.Line: ok, "AT": ok, "AT+DEAF": ""}
	for _, c := range []struct {
		name   string
		before func(r *rig)
		says   string
		mine   bool
	}{
		{"ERROR", nil, "\r\nERROR\r\n", true},
		{"a number", nil, "\r\n+CME ERROR: 3\r\n", true},
		{"words", nil, "\r\n+CME ERROR: operation failed\r\n", true},
		{"completed first", nil, "\r\nCONNACK OK\r\n\r\nERROR\r\n", false},
		{"not a refusal", nil, "\r\nOK\r\n", false},
		{"an earlier command may get it", func(r *rig) { r.do(subscribe) }, "\r\nERROR\r\n", false},
		{"an earlier one was refused already", func(r *rig) {
			r.do(subscribe)
			r.module.send("\r\nERROR\r\n")
			synctest.Wait()
		}, "\r\nERROR\r\n", true},
		{"an earlier one was completed", func(r *rig) {
			r.do(subscribe)
			r.module.send("\r\nSUBACK\r\n")
			synctest.Wait()
		}, "\r\nERROR\r\n", true},
		{"an earlier one is long past", func(r *rig) {
			r.do(subscribe)
			time.Sleep(verdictOwed)
			r.do(Command{Line: "AT"})
			time.Sleep(verdictOwed)
		}, "\r\nERROR\r\n", true},
		{"the same one before", func(r *rig) { r.do(login) }, "\r\nERROR\r\n", true},
		{"two others before", func(r *rig) { r.do(login); r.do(subscribe); r.do(login) }, "\r\nERROR\r\n", false},
		{"one before was given up", func(r *rig) {
			r.fails(Command{Line: "AT+DEAF", Completes: isLine("DONE")}, ErrTimeout)
			r.resync()
		}, "\r\nERROR\r\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			story(t, Options{URC: func(Token) Fate { return Drop }}, script(table), func(r *rig) {
				if c.before != nil {
					c.before(r)
				}
				mark := r.do(login).Mark
				time.Sleep(time.Second)
				r.module.send(c.says)
				synctest.Wait()
				kept, _ := r.engine.Since(mark)
				var refused *Error
				doubted := false
				for _, u := range kept {
					if e, is := Refusal("AT+MCONNECT", u.Text); is {
						refused = e
					}
					doubted = doubted || u.Text == Doubt
				}
				if (refused != nil) != c.mine || doubted == c.mine {
					t.Errorf("kept %+v", kept)
				}
				if c.mine && !errors.Is(refused, ErrRefused) {
					t.Errorf("%v", refused)
				}
			})
		})
	}
	t.Run("a second one", func(t *testing.T) {
		story(t, Options{}, script(table), func(r *rig) {
			mark := r.do(login).Mark
			r.module.send("\r\nERROR\r\n\r\nERROR\r\n")
			synctest.Wait()
			r.wantDoubt(mark)
		})
	})
	t.Run("out of step", func(t *testing.T) {
		story(t, Options{}, script(table), func(r *rig) {
			r.do(login)
			r.engine.mu.Lock()
			r.engine.poisonLocked(ErrTimeout)
			r.engine.mu.Unlock()
			r.module.send("\r\nERROR\r\n")
			synctest.Wait()
			if kept, _ := r.engine.Since(0); len(kept) > 0 && kept[0].Text != Doubt {
				t.Errorf("out of step, and kept %+v", kept)
			}
		})
	})
}
