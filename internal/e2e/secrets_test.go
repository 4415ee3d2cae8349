package e2e

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"airbridged/client"
)

// Nothing that a run prints, answers or leaves behind holds a secret: not at
// log level debug, not through a module that echoes every command, not in an
// error, a status, an event, a metric, or a file that is not the secret's own.
func TestNoSecretAnywhere(t *testing.T) {
	t.Parallel()
	for _, auth := range []string{"https", "direct"} {
		t.Run(auth, func(t *testing.T) {
			t.Parallel()
			sim := newSimulator(t, "--personality", "2g")
			g := newGateway(t, sim.device, "[cloud]\nauth = \""+auth+"\"\n")
			var seen, streamed bytes.Buffer
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			api := unixClient(g.socket)
			stream, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://airbridged/v1/events", nil)
			if err != nil {
				t.Fatal(err)
			}
			events, err := api.Do(stream)
			if err != nil {
				t.Fatal(err)
			}
			copied := make(chan struct{})
			go func() {
				defer close(copied)
				_, _ = io.Copy(&streamed, events.Body)
			}()
			g.reaches("online", "")
			if _, err := g.client.Publish(ctx, update, []byte("reading"), client.PublishOptions{Wait: patience}); err != nil {
				t.Fatal(err)
			}
			// Force errors of many kinds, each of which could quote what it choked on.
			w := g.watch()
			for _, faults := range [][]string{{"reboot"}, {"closed"}, {"connack refuse", "closed"}, {"expire-tokens", "auth 401", "closed"}, {"http-status 603", "expire-tokens", "closed"}} {
				w.until("online", "")
				for _, fault := range faults {
					sim.do(fault)
				}
				w.until("recovering", "")
			}
			w.until("online", "")
			for _, path := range []string{"/v1/status", "/v1/trace", "/healthz", "/metrics", "/v1/messages/none", "/v1/publish"} {
				resp, err := api.Get("http://airbridged" + path)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(&seen, resp.Body)
				resp.Body.Close()
			}
			g.stop()
			<-copied
			seen.Write(streamed.Bytes())
			seen.WriteString(g.out.String())
			for path, data := range files(t, g.dir) {
				switch filepath.Base(path) {
				case "product-secret", "credentials.json", "credentials.prev.json", "token.json":
				default:
					seen.Write(data)
				}
			}
			scan(t, sim, auth, seen.String())
		})
	}
}

// scan looks for every secret of the run in what it printed. It finds them in
// the module's own dialogue, so that none can be forgotten here.
func scan(t *testing.T, sim *simulator, auth, seen string) {
	t.Helper()
	secrets := map[string]string{"product secret": productSecret}
	for _, e := range sim.transcript(t) {
		for name, pattern := range map[string]*regexp.Regexp{
			"signature":     regexp.MustCompile(`sign=([0-9a-fA-F]{32,64})`),
			"device secret": regexp.MustCompile(`"deviceSecret":"([^"]+)"`),
			"token":         regexp.MustCompile(`"iotToken":"([^"]+)"`),
			"password":      regexp.MustCompile(`AT\+MCONFIG="[^"]*","[^"]*","([^"]+)"`),
		} {
			if m := pattern.FindStringSubmatch(e.Text); m != nil {
				secrets[name+" "+m[1][:4]] = m[1]
			}
		}
	}
	want := 4 // product secret, device secret, signature of the registration, password
	if auth == "https" {
		want = 5 // and the signature of the authentication; the token is the password
	}
	if len(secrets) < want {
		t.Fatalf("the dialogue showed only %d secrets, so not all were looked for", len(secrets))
	}
	if !strings.Contains(seen, "online") || len(seen) < 2000 {
		t.Fatalf("only %d bytes were collected: nothing was scanned", len(seen))
	}
	for name, secret := range secrets {
		if i := strings.Index(seen, secret); i >= 0 {
			t.Errorf("the %s was printed: …%s…", name, seen[max(0, i-120):i])
		}
	}
}

func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		found[path] = data
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
