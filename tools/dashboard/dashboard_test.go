package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fake answers every query with two series, one of them with a gap.
func fake(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q := r.FormValue("query"); strings.Contains(q, "$") || !strings.Contains(q, "airbridged") && !strings.Contains(q, "process_") {
			t.Errorf("query %q", q)
		}
		now := time.Now().Unix()
		fmt.Fprintf(w, `{"status":"success","data":{"result":[
			{"metric":{"state":"online","le":"0.5"},"values":[[%d,"1"],[%d,"0"],[%d,"NaN"],[%d,"3.25"]]},
			{"metric":{"state":"<recovering>","le":"+Inf"},"values":[[%d,"7"]]}]}}`, now-600, now-500, now-400, now, now-300)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// Our dashboard is drawn, in two pictures of what is not folded, as XML that reads.
func TestDrawsTheDashboard(t *testing.T) {
	out := filepath.Join(t.TempDir(), "x.svg")
	if err := run(fake(t), 10, out, "../../deploy/grafana/airbridged.json"); err != nil {
		t.Fatal(err)
	}
	picture, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(strings.TrimSuffix(out, ".svg") + "-2.svg")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(second), "Acknowledgement latency") || strings.Contains(string(picture)+string(second), "Serial line") {
		t.Error("a panel is in the wrong picture")
	}
	for _, title := range []string{"Radio and cost", "Data this month", "messages a minute"} {
		if !strings.Contains(string(picture)+string(second), title) {
			t.Errorf("%s is in neither picture", title)
		}
	}
	for _, title := range []string{">State<", ">Cause<", "Acknowledgement latency"} {
		if !strings.Contains(string(picture), title) {
			t.Errorf("%s is not in the picture", title)
		}
	}
	if strings.Contains(string(picture), "NaN") || strings.Contains(string(picture), "Inf") {
		t.Error("a place that is no number")
	}
	for _, text := range [][]byte{picture, second} {
		for d := xml.NewDecoder(bytes.NewReader(text)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestShown(t *testing.T) {
	for _, c := range []struct {
		v    float64
		unit string
		want string
	}{
		{0.05, "s", "50 ms"},
		{90, "s", "90 s"},
		{600, "s", "10 min"},
		{86400, "s", "24 h"},
		{0, "s", "0 s"},
		{512, "bytes", "512 B"},
		{1536, "bytes", "1.5 KiB"},
		{30 << 20, "bytes", "30 MiB"},
		{2048, "Bps", "2 KiB/s"},
		{-71, "dBm", "-71 dBm"},
		{0.333, "", "0.33"},
	} {
		if got := shown(c.v, c.unit); got != c.want {
			t.Errorf("%v %s: %q, want %q", c.v, c.unit, got, c.want)
		}
	}
}
