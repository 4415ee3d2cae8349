package air

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/atengine"
	"airbridged/internal/secret"
)

// recording is one exchange of testdata/recordings, see the README there.
type recording struct {
	call, want string
	exchanges  []exchange
	urcs       []string // before any command
}

func readRecording(t *testing.T, path string) (r recording) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw := func(text string) string {
		s, err := strconv.Unquote(text)
		if err != nil {
			t.Fatalf("%s: %s: %v", path, text, err)
		}
		return s
	}
	for line := range strings.Lines(string(data)) {
		mark, text, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
		answer := ""
		switch mark {
		case "#":
			continue
		case "call":
			r.call = text
			continue
		case "want":
			r.want = text
			continue
		case ">":
			r.exchanges = append(r.exchanges, exchange{want: text})
			continue
		case ">>":
			r.exchanges[len(r.exchanges)-1].data = raw(`"` + text + `"`)
			continue
		case "<":
			answer = "raw:\r\n" + text + "\r\n"
		case "<<":
			answer = "raw:" + raw(text)
		case "~":
			answer = "~" + text
		default:
			t.Fatalf("%s: %q is no line of a recording", path, line)
		}
		if len(r.exchanges) == 0 {
			r.urcs = append(r.urcs, answer)
			continue
		}
		if e := &r.exchanges[len(r.exchanges)-1]; e.data == "" {
			e.answers = append(e.answers, answer)
		} else {
			e.then = append(e.then, answer)
		}
	}
	return r
}

// bytes is how many bytes the module prints.
func (r recording) bytes() (n int) {
	r.pieces(func(text string) []string { n += len(text); return nil })
	return n
}

// pieces returns the recording with each piece of raw output taken apart by cut.
func (r recording) pieces(cut func(text string) []string) recording {
	apart := func(answers []string) (list []string) {
		for _, a := range answers {
			text, is := strings.CutPrefix(a, "raw:")
			if !is {
				list = append(list, a)
				continue
			}
			for i, piece := range cut(text) {
				if i > 0 {
					list = append(list, "~1ms")
				}
				if piece != "" {
					list = append(list, "raw:"+piece)
				}
			}
		}
		return list
	}
	r.urcs = apart(r.urcs)
	r.exchanges = slices.Clone(r.exchanges)
	for i, e := range r.exchanges {
		r.exchanges[i].answers, r.exchanges[i].then = apart(e.answers), apart(e.then)
	}
	return r
}

// cutAt cuts the module's output once, before byte n.
func (r recording) cutAt(n int) recording {
	seen := 0
	return r.pieces(func(text string) []string {
		at := n - seen
		seen += len(text)
		if at <= 0 || at >= len(text) {
			return []string{text}
		}
		return []string{text[:at], text[at:]}
	})
}

// echoed has every command echoed, as modules do before ATE0.
func (r recording) echoed() recording {
	r.exchanges = slices.Clone(r.exchanges)
	for i, e := range r.exchanges {
		r.exchanges[i].answers = append([]string{"raw:" + e.want + "\r"}, e.answers...)
	}
	return r
}

// TestRecordings gives what real modules printed to engine and dialect: whole, cut at
// every byte, byte by byte, and with the echo on.
func TestRecordings(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../testdata/recordings/*.txt")
	if err != nil || len(files) < 70 {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			r := readRecording(t, file)
			check := func(how string, r recording) {
				t.Helper()
				if got := r.play(t); got != r.want {
					t.Errorf("%s: %q, want %q", how, got, r.want)
				}
			}
			check("whole", r)
			check("echo on", r.echoed())
			check("byte by byte", r.pieces(func(text string) []string { return strings.Split(text, "") }))
			for n := 1; n < r.bytes() && !t.Failed(); n++ {
				check("cut before byte "+strconv.Itoa(n), r.cutAt(n))
			}
		})
	}
}

// play has the dialect do its part, and says what came of it.
func (r recording) play(t *testing.T) (got string) {
	t.Helper()
	play(t, Options{}, r.exchanges, func(b *bench) {
		b.encoding(r.call == "hexmessages")
		b.says(r.urcs...)
		switch r.call {
		case "urcs":
			got = b.urcsAre(r.want)
		case "messages", "hexmessages":
			for _, m := range b.received() {
				got += fmt.Sprintf("%s %q", m.topic, m.payload)
			}
		default:
			got = said(recordedCalls[r.call](b))
		}
	})
	return got
}

// urcsAre returns want if those kinds came, and no other.
func (b *bench) urcsAre(want string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := map[string]int{}
	for kind := range strings.FieldsSeq(want) {
		counts[kind]++
	}
	for kind, n := range b.kinds {
		if counts[kind] != n {
			return fmt.Sprint(b.kinds)
		}
	}
	if len(counts) != len(b.kinds) {
		return fmt.Sprint(b.kinds)
	}
	return want
}

// said is the outcome of a call in the words of the recordings.
func said(told string, err error) string {
	for _, known := range []struct {
		err  error
		word string
	}{
		{ErrStarting, "still starting"},
		{ErrNoSIM, "no usable SIM"},
		{ErrSIMBusy, "not ready"},
		{ErrAlreadyConnected, "already"},
		{ErrConnectRefused, "refused"},
		{ErrRefusedBehindOK, "refused late"},
		{ErrMalformed, "malformed"},
		{ErrBearer, "bearer"},
		{atengine.ErrRebooted, "the module restarted"},
	} {
		if errors.Is(err, known.err) {
			return known.word
		}
	}
	var status *HTTPError
	var refused *atengine.Error
	var unsupported *UnsupportedError
	switch {
	case err == nil:
		return told
	case errors.As(err, &unsupported):
		return told + " refused"
	case errors.As(err, &status):
		return "status " + strconv.Itoa(status.Status)
	case errors.Is(err, ErrConnectFailed) && errors.As(err, &refused):
		return "failed: error " + strconv.Itoa(refused.Code)
	case errors.Is(err, ErrConnectFailed):
		_, why, _ := strings.Cut(err.Error(), "the module reports ")
		why, _ = strconv.Unquote(why)
		return "failed: " + why
	case errors.As(err, &refused) && errors.Is(refused, atengine.ErrRefused):
		return "refused " + strconv.Itoa(refused.Code)
	}
	return err.Error()
}

// is returns a word, or another one.
func is(yes bool, word, other string) string {
	if yes {
		return word
	}
	return other
}

var recordedPoint = AccessPoint{Name: "meter.iot", User: "meter", Password: secret.New("word"), Auth: CHAP}

// recordedCalls are what recordings can ask the dialect for.
var recordedCalls = map[string]func(b *bench) (string, error){
	"signal": func(b *bench) (string, error) {
		dbm, err := b.Signal(b.ctx)
		if dbm == nil {
			return "unknown", err
		}
		return strconv.Itoa(*dbm) + " dBm", err
	},
	"operator": func(b *bench) (string, error) { return b.Operator(b.ctx) },
	"network": func(b *bench) (string, error) {
		state, err := b.NetworkState(b.ctx)
		return is(state.Registered(), "registered", "not registered"), err
	},
	"attached": func(b *bench) (string, error) {
		attached, err := b.Attached(b.ctx)
		return is(attached, "attached", "detached"), err
	},
	"sim":   func(b *bench) (string, error) { return "ready", b.SIM(b.ctx) },
	"iccid": func(b *bench) (string, error) { return b.ICCID(b.ctx) },
	"identify": func(b *bench) (string, error) {
		id, err := b.Identify(b.ctx)
		return id.Firmware, err
	},
	"firmware": func(b *bench) (string, error) {
		id, err := b.Identify(b.ctx)
		if err != nil {
			return "", err
		}
		asked, unsupported := judge(id.Firmware)
		row := moduleOf(id.Firmware)
		switch {
		case unsupported != nil:
			return id.Firmware, unsupported
		case asked && !strings.HasPrefix(id.Firmware, "AirM2M"):
			return id.Firmware + " asked", nil
		}
		return id.Firmware + " " + strconv.Itoa(row.Payload) + is(row.Limit == Assumed, " assumed", ""), nil
	},
	"probe": func(b *bench) (string, error) {
		caps, err := b.Probe(b.ctx, Identity{Firmware: "AirM2M_780E_V1161_LTE_AT", Model: "Air780E"})
		return strconv.Itoa(caps.MaxPayload) + is(caps.MPUBEX, " MPUBEX", "") + is(caps.Hex, " hex", ""), err
	},
	"bearer": func(b *bench) (string, error) {
		up, err := b.Bearer(b.ctx)
		return is(up, "up", "down"), err
	},
	"socket": func(b *bench) (string, error) { return "up", b.OpenSocketBearer(b.ctx, AccessPoint{Name: "iot"}) },
	"close":  func(b *bench) (string, error) { return "closed", b.CloseBearer(b.ctx) },
	"apn":    func(b *bench) (string, error) { return "set", b.SetDefaultAPN(b.ctx, recordedPoint) },
	"post": func(b *bench) (string, error) {
		reply, err := b.Post(b.ctx, "https://iot.example/auth", "a=b")
		return string(reply), err
	},
	"dial":      func(b *bench) (string, error) { return "connected", b.Dial(b.ctx, "iot.example", 1883, true) },
	"dialplain": func(b *bench) (string, error) { return "connected", b.Dial(b.ctx, "iot.example", 8883, false) },
	"login": func(b *bench) (string, error) {
		if err := b.Dial(b.ctx, "iot.example", 1883, true); err != nil {
			return "", fmt.Errorf("dial: %w", err)
		}
		return "in", b.Login(b.ctx, true, 5*time.Minute)
	},
	"hangup": func(b *bench) (string, error) { b.Hangup(b.ctx); return "done", nil },
	"configure": func(b *bench) (string, error) {
		return "set", b.Configure(b.ctx, "id", "user", secret.New("password"))
	},
	"subscribe":  func(b *bench) (string, error) { return "granted", b.Subscribe(b.ctx, "/k/d/get", 0) },
	"publish":    func(b *bench) (string, error) { return published(b, Capabilities{}, "hi") },
	"publishraw": func(b *bench) (string, error) { return published(b, Best(), "a\x00b") },
	"link": func(b *bench) (string, error) {
		state, err := b.Link(b.ctx)
		return strconv.Itoa(int(state)), err
	},
	"clock": func(b *bench) (string, error) {
		at, err := b.NetworkTime(b.ctx)
		return at.UTC().Format(time.RFC3339), err
	},
}

func published(b *bench, caps Capabilities, payload string) (string, error) {
	b.SetCapabilities(caps)
	_, err := b.Publish(b.ctx, "/k/d/up", 1, []byte(payload))
	synctest.Wait()
	return "acked", err
}
