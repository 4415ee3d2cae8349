package ipc

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// docs/api.md has every route, and every problem with its status.
func TestDocumentIsComplete(t *testing.T) {
	data, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	document := string(data)
	source := ""
	files, _ := filepath.Glob("*.go")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(file, "_test.go") {
			source += string(text)
		}
	}
	for _, r := range table() {
		if title := r.method + " " + r.path; !strings.Contains(document, "\n## "+title+"\n") {
			t.Errorf("there is no section %q", title)
		}
	}
	names := problemNames(t)
	kinds := regexp.MustCompile(`kind\{api\.(\w+), http\.Status(\w+)`).FindAllStringSubmatch(source, -1)
	if len(kinds) < 20 {
		t.Fatalf("only %d problems were found", len(kinds))
	}
	for _, k := range kinds {
		row := regexp.MustCompile(`(?m)^\| [0-9, ]*` + statusNumber(t, k[2]) + "[0-9, ]* \\| [^|]*`" + names[k[1]] + "`")
		if !row.MatchString(document) {
			t.Errorf("the table of errors does not have %s, status %s", names[k[1]], k[2])
		}
	}
}

// The table at the document's head is made of the routes; -update writes it.
func TestDocumentHasTheRoutes(t *testing.T) {
	const file, head = "../../docs/api.md", "| request | does |\n| --- | --- |\n"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	for _, r := range table() {
		title, does := r.method+" "+r.path, r.does
		if r.who != everybody {
			does += "; " + r.who.String()
		}
		anchor := strings.ToLower(strings.NewReplacer(" ", "-", "/", "", "{", "", "}", "").Replace(title))
		fmt.Fprintf(&rows, "| [`%s`](#%s) | %s |\n", title, anchor, does)
	}
	before, rest, _ := strings.Cut(string(data), head)
	got, after, _ := strings.Cut(rest, "\n\n")
	if got += "\n"; got == rows.String() {
		return
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+head+rows.String()+"\n"+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s has\n%s\nand the routes are\n%s", file, got, rows.String())
}

// The document has every field of the status, as the example in package api has
// them all.
func TestDocumentHasTheStatus(t *testing.T) {
	document, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(document), "\n## GET /v1/status\n")
	section, _, _ = strings.Cut(section, "\n## ")
	data, err := os.ReadFile("../../client/api/testdata/status-known.json")
	if err != nil {
		t.Fatal(err)
	}
	var status map[string]any
	if err := json.Unmarshal(data, &status); err != nil {
		t.Fatal(err)
	}
	wants := func(field string) {
		if !strings.Contains(section, "`"+field+"`") {
			t.Errorf("docs/api.md does not tell of the status field %s", field)
		}
	}
	for name, value := range status {
		wants(name)
		if parts, ok := value.(map[string]any); ok {
			for part := range parts {
				wants(part)
			}
		}
	}
}

// problemNames are the names of problems by their constants in package api.
func problemNames(t *testing.T) map[string]string {
	t.Helper()
	source, err := os.ReadFile("../../client/api/problem.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\t(\w+) += "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1) {
		names[m[1]] = m[2]
	}
	return names
}

// statusNumber is the number of a constant of net/http, by its text.
func statusNumber(t *testing.T, name string) string {
	t.Helper()
	for n := 100; n < 600; n++ {
		if strings.ReplaceAll(http.StatusText(n), " ", "") == name {
			return strconv.Itoa(n)
		}
	}
	t.Fatalf("no status is called %s", name)
	return ""
}
