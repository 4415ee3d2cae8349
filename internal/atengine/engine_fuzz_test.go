package atengine

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// fuzzTimeout is no multiple of the delays below, so that nothing is a tie.
const fuzzTimeout = 2010 * time.Millisecond

// deeds is a module that answers in sequence, as real ones do, but slowly,
// never, in pieces, with noise or with messages that lie, as a program says.
type deeds struct {
	t       *testing.T
	program []byte
	lies    bool // messages may lie about their length
}

func (d *deeds) next() byte {
	if len(d.program) == 0 {
		return 0
	}
	b := d.program[0]
	d.program = d.program[1:]
	return b
}

// payload takes up to 15 bytes of the program. A message that lies about its length
// holds no blank line: what stands behind one cannot be told from a line of the
// module's own.
func (d *deeds) payload(lies bool) string {
	n := min(int(d.next()%16), len(d.program))
	text := string(d.program[:n])
	d.program = d.program[n:]
	if lies {
		return lineEnds.ReplaceAllString(text, "\r\n")
	}
	return text
}

var lineEnds = regexp.MustCompile(`[\r\n\x00]+`)

// text is payload that no module says of its own accord.
func (d *deeds) text() string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune("OKERMSN>", c) {
			return '.'
		}
		return c
	}, d.payload(false))
}

func (d *deeds) answer(m *module, command string) {
	if command == "AT" {
		m.send(ok)
		return
	}
	kind, number, known := strings.Cut(command, "=")
	if !known || kind != "AT+N" && kind != "AT+P" {
		d.t.Errorf("the module was sent %q", command)
	}
	deed, size := d.next()%8, time.Duration(d.next())
	if kind == "AT+P" {
		if deed == 1 || deed == 2 {
			time.Sleep(size % 200 * 100 * time.Millisecond)
		}
		if !d.dataPhase(m, size%200*100*time.Millisecond > fuzzTimeout && (deed == 1 || deed == 2)) {
			return
		}
		m.send(ok)
		return
	}
	answer := "\r\n+N: " + number + "\r\n" + ok
	switch deed {
	case 1:
		time.Sleep(size * 20 * time.Millisecond)
	case 2:
		return
	case 3:
		m.send(d.text(), "\r\n")
	case 4:
		for i := range len(answer) - 1 {
			m.send(answer[i : i+1])
		}
		answer = answer[len(answer)-1:]
	case 5:
		m.send("\r\n" + message("t", d.payload(false)) + "\r\n")
	case 6:
		if d.lies {
			m.send(fmt.Sprintf("\r\n+MSUB: \"t\",%d byte,%s\r\n", size, d.payload(true)))
		}
	case 7:
		answer = "\r\n+CME ERROR: 3\r\n"
	}
	m.send(answer)
}

// dataPhase asks for five bytes. When it asks too late, nothing at all may come
// before it is over.
func (d *deeds) dataPhase(m *module, late bool) bool {
	m.send("\r\n> ")
	if !late {
		if got := m.data(5); got != "hello" && got != "" {
			d.t.Errorf("in the data phase came %q", got)
		}
		return true
	}
	time.Sleep(20 * time.Second)
	if got := string(m.rest) + m.port.out.take(); got != "" {
		d.t.Errorf("into a data phase that was given up came %q", got)
	}
	m.rest = nil
	return false
}

// FuzzEngine checks, with any such module, that nothing panics or hangs, that
// an answer goes to its own command and to no other, and that a payload goes
// nowhere but into a data phase.
func FuzzEngine(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{0, 1, 200, 0, 0, 2, 0, 0, 0, 1, 130, 4, 0})
	f.Add([]byte("\x01\x06\x28\x05hello\x06\xff\x03\r\n>\x00\x00\x05\x00\x06\r\nOK\r\n"))
	f.Add([]byte("\x00\x05\x00\x0b\r\n+N: 9\r\nOK\x03\x00\x09+CREG: 1,\x05\x00\x08\r\nOK\r\n> "))
	f.Add([]byte{2, 1, 15, 1, 25, 2, 190, 1, 1, 0, 0, 1, 30})
	f.Add([]byte{3, 6, 14, 15, 'x', '\r', '\n', 6, 30, 3, 'y', 1, 120, 2, 0, 7, 0})
	f.Fuzz(func(t *testing.T, program []byte) {
		if len(program) == 0 || len(program) > 200 {
			return
		}
		d := &deeds{t: t, program: program[1:], lies: program[0]&1 != 0}
		story(t, Options{Loose: [][]byte{wordOK}, Framers: setOff()}, d.answer, func(r *rig) {
			for k := range 12 {
				command := Command{Line: fmt.Sprintf("AT+N=%d", k), Info: named("+N:"), Timeout: fuzzTimeout}
				if program[0]&2 != 0 && k%3 == 1 {
					command = Command{Line: fmt.Sprintf("AT+P=%d", k), Prompt: ">", Data: []byte("hello"), Timeout: fuzzTimeout}
				}
				reply, err := r.engine.Do(r.ctx, command)
				checkOwn(t, d.lies, k, command, reply, err)
				for tries := 0; !r.engine.InSync(); tries++ {
					if tries == 10 {
						t.Fatal("never in step again")
					}
					_ = r.engine.Resync(r.ctx) // it says what InSync says
				}
			}
		})
	})
}

func checkOwn(t *testing.T, lies bool, k int, c Command, reply Reply, err error) {
	t.Helper()
	if err != nil {
		if !errors.Is(err, ErrTimeout) && !errors.Is(err, ErrRefused) {
			t.Fatalf("%s: %v", c.Line, err)
		}
		return
	}
	var got []string
	for _, line := range reply.Info {
		got = append(got, string(line))
	}
	own := []string{fmt.Sprintf("+N: %d", k)}
	if c.Info == nil || lies && len(got) == 0 { // a lie may have swallowed it
		own = nil
	}
	if !slices.Equal(got, own) {
		t.Fatalf("%s was answered by %q", c.Line, got)
	}
}
