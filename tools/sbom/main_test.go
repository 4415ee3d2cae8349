package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const root = "../.."

// built is a program, built as make does but for its stripping.
func built(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", path, "./cmd/"+name)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// schema is CycloneDX's own, which comes with the library.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	for address, file := range map[string]string{
		"http://cyclonedx.org/schema/bom-1.6.schema.json":  "bom-1.6.schema.json",
		"http://cyclonedx.org/schema/spdx.schema.json":     "spdx.schema.json",
		"http://cyclonedx.org/schema/jsf-0.82.schema.json": "jsf-0.82.schemax.json",
	} {
		data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "schema", file))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(address, doc); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBillOfEveryProgram(t *testing.T) {
	valid := schema(t)
	copyright, err := os.ReadFile(root + "/packaging/debian/copyright")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"airbridged", "airbridgectl", "airsim"} {
		t.Run(name, func(t *testing.T) {
			binary := built(t, name)
			var first, second bytes.Buffer
			for _, w := range []*bytes.Buffer{&first, &second} {
				if err := write(w, binary, root+"/NOTICE", "1.2.3", "1700000000"); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Error("the same binary gives another bill")
			}
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(first.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			if err := valid.Validate(doc); err != nil {
				t.Errorf("not CycloneDX 1.6: %v", err)
			}
			doc.(map[string]any)["serialNumber"] = "1"
			if valid.Validate(doc) == nil {
				t.Error("the schema lets anything pass")
			}
			var bom cdx.BOM
			if err := json.Unmarshal(first.Bytes(), &bom); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range *bom.Components {
				got = append(got, c.Name+"@"+c.Version)
				if !strings.Contains(string(copyright), "\nFiles: vendor/"+c.Name+"/*\n") {
					t.Errorf("%s is not in packaging/debian/copyright", c.Name)
				}
				if c.Name != "std" && (c.Properties == nil || !strings.HasPrefix((*c.Properties)[0].Value, "h1:")) {
					t.Errorf("%s has no checksum", c.Name)
				}
			}
			if want := versionM(t, binary); !slices.Equal(got[1:], want) {
				t.Errorf("the bill has\n%q\ngo version -m says\n%q", got[1:], want)
			}
		})
	}
}

// versionM are the modules of a binary as "go version -m" prints them.
func versionM(t *testing.T, binary string) []string {
	t.Helper()
	out, err := exec.Command("go", "version", "-m", binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) >= 3 && f[0] == "dep" {
			list = append(list, f[1]+"@"+f[2])
		}
	}
	if len(list) == 0 && filepath.Base(binary) != "airbridgectl" {
		t.Fatalf("no modules in\n%s", out)
	}
	return list
}

// A module that nobody wrote down must not be shipped.
func TestUnknownModuleIsRefused(t *testing.T) {
	binary := built(t, "airbridged")
	notice, err := os.ReadFile(root + "/NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "NOTICE")
	if err := os.WriteFile(short, bytes.Replace(notice, []byte("  go.uber.org/zap "), []byte("  go.example.org/zap "), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := write(&bytes.Buffer{}, binary, short, "1.2.3", ""); err == nil || !strings.Contains(err.Error(), "go.uber.org/zap is linked into") {
		t.Errorf("got %v", err)
	}
}

// What NOTICE names is linked into one of the programs at least.
func TestNoticeNamesNothingElse(t *testing.T) {
	licenses, err := readNotice(root + "/NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	delete(licenses, "std")
	for _, name := range []string{"airbridged", "airbridgectl", "airsim"} {
		for _, m := range versionM(t, built(t, name)) {
			path, _, _ := strings.Cut(m, "@")
			delete(licenses, path)
		}
	}
	if len(licenses) > 0 {
		t.Errorf("no program is linked with %q", licenses)
	}
}
