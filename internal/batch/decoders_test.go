package batch

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// The decoders of docs/batching.md need nothing but the standard library of their
// language. A few forms have all that there is in them. Those whose interpreter is not
// here are passed over.
func TestDecodersForTheDesk(t *testing.T) {
	const dir = "../../docs/decoders/"
	var readings [][]byte
	for i := range 12 {
		readings = append(readings, fmt.Appendf(nil, `{"source":"meter-7","n":%d,"value":%d.5}`, 48213+i, 20+i%3))
	}
	want := string(NDJSON.wrap(readings))
	dictionary := filepath.Join(t.TempDir(), "dictionary")
	if err := os.WriteFile(dictionary, readings[3], 0o600); err != nil {
		t.Fatal(err)
	}
	lines := Form{Envelope: NDJSON, Compress: Deflate, Dictionary: readings[3], Encoding: Raw}
	lengths := Form{Envelope: LengthPrefixed, Compress: Gzip, Encoding: Base64}
	array := Form{Envelope: JSONArray, Compress: None, Encoding: Raw} // Java has no JSON of its own
	for name, c := range map[string]struct {
		run   []string
		forms []Form
	}{
		"Python": {[]string{"python3", dir + "decode.py"}, []Form{lines, lengths, array}},
		"Node":   {[]string{"node", dir + "decode.js"}, []Form{lines, lengths, array}},
		"Go":     {[]string{buildDecoder(t, dir+"decode.go")}, []Form{lines, lengths, array}},
		"Java":   {[]string{"java", dir + "Decode.java"}, []Form{lines, lengths}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(c.run[0]); err != nil {
				t.Skipf("%s is not installed", c.run[0])
			}
			for _, f := range c.forms {
				args := append(slices.Clone(c.run[1:]), string(f.Envelope), string(f.Compress), string(f.Encoding))
				if f.Dictionary != nil {
					args = append(args, dictionary)
				}
				if got, err := decode(t, c.run[0], args, f.Encode(readings)); err != nil || got != want {
					t.Errorf("%s: %v, %q", f.name(), err, got)
				}
			}
			args := append(slices.Clone(c.run[1:]), string(lines.Envelope), string(lines.Compress), string(lines.Encoding), dictionary)
			cut := lines.Encode(readings)
			if got, err := decode(t, c.run[0], args, cut[:len(cut)-1]); err == nil && got == want {
				t.Error("a message that is cut is read as a whole one")
			}
		})
	}
}

func buildDecoder(t *testing.T, source string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "decode")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

func decode(t *testing.T, program string, args []string, message []byte) (string, error) {
	t.Helper()
	run := exec.CommandContext(t.Context(), program, args...)
	run.Stdin = bytes.NewReader(message)
	out, err := run.Output()
	return string(out), err
}
