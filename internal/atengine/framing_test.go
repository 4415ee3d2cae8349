package atengine

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const csqAnswer = "AT+CSQ\r\r\n+CSQ: 29,99\r\n\r\nOK\r\n"

func TestP01AnswerSplitByReadBoundaries(t *testing.T) {
	for i := 1; i < len(csqAnswer); i++ {
		story(t, Options{Loose: [][]byte{wordOK}}, func(m *module, _ string) {
			m.send(csqAnswer[:i])
			time.Sleep(looseIdle - time.Millisecond)
			m.send(csqAnswer[i:])
		}, func(r *rig) {
			reply := r.do(signal29())
			r.wantInfo(reply, "+CSQ: 29,99")
			if reply.Final != "OK" {
				r.Errorf("split at %d: final %q", i, reply.Final)
			}
			r.wantSeen()
		})
	}
}

func TestP02PayloadThatLooksLikeProtocolWhileACommandIsInFlight(t *testing.T) {
	payloads := []string{
		"\r\nOK\r\n", "\r\n+CME ERROR: 3\r\n", ">", `"`, ",", "\x00", "\xff", `+MSUB: "x",3 byte,abc`,
		"\r\n+CSQ: 1,1\r\n\r\nOK\r\n", "AT+CSQ\r\n", "\r\nERROR\r\n\r\n> \r\nDOWNLOAD\r\n", "\x1a\x1b\x00\r", "\r\nRDY\r\n", "\r\nOK", "\r\nOK\r", "SHUT OK",
	}
	// Wherever in the answer it comes, and however it is cut.
	gaps := []string{"%sAT+CSQ\r\r\n+CSQ: 29,99\r\n\r\nOK\r\n", "AT+CSQ\r%s\r\n+CSQ: 29,99\r\n\r\nOK\r\n", "AT+CSQ\r\r\n+CSQ: 29,99\r\n%s\r\nOK\r\n"}
	for _, payload := range payloads {
		for g, gap := range gaps {
			block := message("t", payload)
			answer := fmt.Sprintf(gap, "\r\n"+block+"\r\n")
			for _, step := range []int{len(answer), 1, 7} {
				story(t, Options{Reboot: named("RDY")}, func(m *module, _ string) {
					for chunk := range slices.Chunk([]byte(answer), step) {
						m.send(string(chunk))
					}
				}, func(r *rig) {
					command := signal29()
					command.Final = func(line []byte) bool { return bytes.HasSuffix(line, []byte("SHUT OK")) }
					r.wantInfo(r.do(command), "+CSQ: 29,99")
					r.wantSeen(fmt.Sprintf("block msub %q", block))
					if r.Failed() {
						r.Fatalf("payload %q in gap %d by %d", payload, g, step)
					}
				})
			}
		}
	}
}

// A block that is shorter than it said may have swallowed an answer, or hold a payload
// that spells one: nobody can tell. The command has no answer then, and the stream is
// in step again with the next Resync.
func TestP04NothingInAShortBlockIsAnAnswer(t *testing.T) {
	const sent = "fifteen bytes.."
	for _, c := range []struct {
		announced int
		between   string // the block's own line end, if it was not lost
	}{
		{20, ""},     // the answer is cut in two: known at once
		{20, "\r\n"}, // the same with all line ends
		{200, ""},
		{4096, "\r\n"},
	} {
		t.Run(fmt.Sprintf("%d announced %q", c.announced, c.between), func(t *testing.T) {
			header := fmt.Sprintf("+MSUB: \"t\",%d byte,%s", c.announced, sent)
			story(t, Options{}, script(map[string]string{"AT+CSQ": "\r\n+CSQ: 29,99\r\n" + header + c.between + ok}), func(r *rig) {
				r.fails(signal29(), ErrTimeout)
				r.wantSeen(fmt.Sprintf("cut line %q", header), `cut line "OK"`)
				if n := r.engine.LostBlocks(); n != 1 {
					r.Errorf("%d lost blocks were counted, want 1", n)
				}
				r.resync()
				r.module.send("\r\n" + message("t", "\r\nOK\r\n") + "\r\n")
				r.wantInfo(r.do(Command{Line: "AT"}))
				if got := r.seen(); len(got) != 3 {
					r.Errorf("the next message was not seen: %v", got)
				}
			})
		})
	}
}

// What a lie has swallowed are lines too, however many lies: one of them may be the
// payload of another. The deadline is the first one's, and longer on a slower line.
func TestP04LiesInARow(t *testing.T) {
	for baud, wait := range map[int][2]time.Duration{9600: {2 * time.Second, 2500 * time.Millisecond}, 921600: {0, 600 * time.Millisecond}} {
		story(t, Options{Baud: baud}, silent, func(r *rig) {
			lie := "+MSUB: \"t\",960 byte,x"
			r.module.send(lie + "\r\n" + lie + "\r\n" + message("t", "forged") + "\r\nPUBACK\r\n")
			start := time.Now()
			r.wantDoubt(0)
			// 960 bytes take 1 s at 9600 bit/s, twice that and 0.5 s are given.
			if took := time.Since(start); took < wait[0] || took > wait[1] {
				t.Errorf("at %d bit/s the lie took %v", baud, took)
			}
			r.wantSeen(fmt.Sprintf("cut line %q", lie), fmt.Sprintf("cut line %q", lie), fmt.Sprintf("cut line %q", message("t", "forged")), `cut line "PUBACK"`)
			if kept, _ := r.engine.Since(0); len(kept) != 1 {
				t.Errorf("kept: %+v", kept)
			}
		})
	}
}

// The deadline runs from the header: a trickle does not prolong it.
func TestP04TrickleDoesNotKeepALieAlive(t *testing.T) {
	story(t, Options{}, silent, func(r *rig) {
		start := time.Now()
		r.module.send("+MSUB: \"t\",100 byte,x\r\nPUBACK\r\n")
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(300 * time.Millisecond):
					r.module.send("y")
				}
			}
		}()
		r.wantDoubt(0)
		if took, most := time.Since(start), 500*time.Millisecond+2*100*10*time.Second/115200; took > most {
			t.Errorf("the lie was given up after %v, want %v at most", took, most)
		}
	})
}

// A block may arrive in pieces as slowly as the line is; its deadline holds.
func TestP04SlowBlockIsNotALie(t *testing.T) {
	story(t, Options{Baud: 9600}, silent, func(r *rig) {
		block := message("t", strings.Repeat("0123456789abcdef\r\nOK\r\n", 100))
		for chunk := range slices.Chunk([]byte(block), 96) {
			time.Sleep(100 * time.Millisecond)
			r.module.send(string(chunk))
		}
		r.module.send("\r\n")
		r.wantSeen(fmt.Sprintf("block msub %q", block))
		if n := r.engine.LostBlocks(); n != 0 {
			t.Errorf("%d blocks were given up", n)
		}
	})
}

// A full block that could be a lie is handed out as soon as nothing follows.
func TestP04FullBlockWithNothingBehind(t *testing.T) {
	story(t, Options{}, silent, func(r *rig) {
		block := message("t", "\r\nOK\r")
		r.module.send(block)
		r.wantSeen()
		time.Sleep(looseIdle)
		r.wantSeen(fmt.Sprintf("block msub %q", block))
		r.module.send("\r\nPUBACK\r\n")
		r.wantSeen(fmt.Sprintf("block msub %q", block), `line "PUBACK"`)
	})
}

func TestP05UnbalancedQuote(t *testing.T) {
	const odd = `+CREG: 2,1,"0B,"0100701",7`
	story(t, Options{}, script(map[string]string{"AT+CREG?": "\r\n" + odd + "\r\n" + ok}), func(r *rig) {
		r.wantInfo(r.do(Command{Line: "AT+CREG?", Info: named("+CREG:")}), odd)
		r.module.send("\r\n" + odd + "\r\n\r\nCLOSED\r\n")
		r.wantSeen(fmt.Sprintf("line %q", odd), `line "CLOSED"`)
	})
}

func TestP06OverlongLineWhileACommandIsInFlight(t *testing.T) {
	const size = 1 << 20
	sizes := []int{}
	keep := func(tok Token) Fate {
		if tok.Kind == Overlong {
			sizes = append(sizes, tok.Size)
		}
		return Drop
	}
	story(t, Options{URC: keep}, func(m *module, _ string) {
		noise := strings.Repeat("+CSQ: OK", readSize/8)
		for range size / len(noise) {
			m.send(noise)
		}
		m.send("\r\n+CSQ: 29,99\r\n\r\nOK\r\n")
	}, func(r *rig) {
		r.wantInfo(r.do(signal29()), "+CSQ: 29,99")
		r.wantInfo(r.do(Command{Line: "AT+CSQ"}))
		if !slices.Equal(sizes, []int{size, size}) {
			t.Errorf("over-long lines of %v bytes, want %d twice", sizes, size)
		}
	})
}

func TestP07LineEndsOfAnswers(t *testing.T) {
	for _, answer := range []string{
		"\r\n+CSQ: 29,99\r\n\r\nOK\r\n", "\n+CSQ: 29,99\n\nOK\n", "+CSQ: 29,99\r\r\nOK\r\r\n", "\r+CSQ: 29,99\rOK\r",
		"\x00\x00\r\n+CSQ: 29,99\r\n\x00OK\r\n", "+CSQ: 29,99\r\n \r\nOK\r\n", "AT+CSQ\r+CSQ: 29,99\nOK\r\n", "\n\r+CSQ: 29,99\n\rOK\n\r",
	} {
		story(t, Options{}, script(map[string]string{"AT+CSQ": answer}), func(r *rig) {
			reply := r.do(signal29())
			r.wantInfo(reply, "+CSQ: 29,99")
			r.wantSeen()
			if r.Failed() {
				r.Fatalf("answer %q", answer)
			}
		})
	}
}

func TestLooseWordsCountAfterAPause(t *testing.T) {
	loose := [][]byte{[]byte("CONNECT OK"), []byte("DOWNLOAD"), wordOK}
	t.Run("answer", func(t *testing.T) {
		story(t, Options{Loose: loose}, script(map[string]string{"AT+CSQ": "+CSQ: 29,99\r\nOK"}), func(r *rig) {
			start := time.Now()
			r.wantInfo(r.do(signal29()), "+CSQ: 29,99")
			if took := time.Since(start); took != looseIdle {
				t.Errorf("the word counted after %v, want %v", took, looseIdle)
			}
			// Its line end comes after all, and is no line; the next answer is its own.
			r.module.send("\r\n")
			r.wantInfo(r.do(signal29()), "+CSQ: 29,99")
			r.wantSeen()
		})
	})
	t.Run("completion", func(t *testing.T) {
		story(t, Options{Loose: loose}, script(map[string]string{"AT+MIPSTART=1": ok + "\r\nCONNECT OK"}), func(r *rig) {
			reply := r.do(Command{Line: "AT+MIPSTART=1"})
			if _, err := r.engine.Await(r.ctx, reply.Mark, time.Second, "CONNECT OK", is("CONNECT OK")); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("prompt word", func(t *testing.T) {
		story(t, Options{Loose: loose}, func(m *module, _ string) {
			m.send("\r\nDOWNLOAD")
			if got := m.data(5); got != "hello" {
				t.Errorf("the module got %q", got)
			}
			m.send(ok)
		}, func(r *rig) {
			r.do(Command{Line: "AT+HTTPDATA=5,20000", Prompt: "DOWNLOAD", Data: []byte("hello")})
		})
	})
	t.Run("not while it grows", func(t *testing.T) {
		story(t, Options{Loose: loose}, silent, func(r *rig) {
			for _, piece := range []string{"O", "K", "A", "Y"} {
				r.module.send(piece)
				time.Sleep(looseIdle - time.Millisecond)
			}
			r.module.send("\r\n")
			r.wantSeen(`line "OKAY"`)
		})
	})
	t.Run("no other word", func(t *testing.T) {
		story(t, Options{Loose: loose}, silent, func(r *rig) {
			r.module.send("CONNECT")
			time.Sleep(time.Minute)
			r.wantSeen()
			r.module.send(" OK")
			time.Sleep(looseIdle)
			r.wantSeen(`line "CONNECT OK"`)
		})
	})
	t.Run("not inside a block", func(t *testing.T) {
		story(t, Options{Loose: loose}, silent, func(r *rig) {
			block := message("t", "CONNECT OK")
			r.module.send(block[:len(block)-1])
			time.Sleep(2 * looseIdle)
			r.module.send("K\r\n")
			synctest.Wait()
			r.wantSeen(fmt.Sprintf("block msub %q", block))
		})
	})
}
