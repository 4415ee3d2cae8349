package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnpackOption(t *testing.T) {
	file := filepath.Join(t.TempDir(), "dictionary")
	if err := os.WriteFile(file, []byte("typical"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := parseFlags([]string{"--unpack", "/a/+=ndjson,deflate,base64,dictionary:" + file, "--unpack", "/b=json-array"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	u := s.cloud.Unpack
	if len(u) != 2 || u[0].Filter != "/a/+" || u[0].Envelope != "ndjson" || u[0].Compress != "deflate" || !u[0].Base64 || string(u[0].Dictionary) != "typical" || u[1].Envelope != "json-array" {
		t.Errorf("%+v", u)
	}
	for value, words := range map[string]string{
		"/a":                          "such as",
		"=ndjson":                     "such as",
		"/a=deflate":                  "envelope is missing",
		"/a=ndjson,zstd":              `"zstd" is none of`,
		"/a=ndjson,dictionary:/no/it": "no such file",
	} {
		if _, err := parseFlags([]string{"--unpack", value}, io.Discard); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want %q", value, err, words)
		}
	}
}
