package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Tests are named after the pitfalls of docs/pitfalls.md: each number in a name is a
// row there, and each row has a test with its number, or names one that there is.
func TestPitfallsAreHeld(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/pitfalls.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (P\d\d) \| (.*)$`).FindAllStringSubmatch(string(page), -1) {
		rows[m[1]] = m[2]
	}
	tests, numbered := map[string]bool{}, map[string]bool{}
	name, number := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`), regexp.MustCompile(`P\d\d`)
	for _, root := range []string{"../../client", "../../cmd", "../../internal"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range name.FindAllStringSubmatch(string(text), -1) {
				tests[m[1]] = true
				for _, n := range number.FindAllString(m[1], -1) {
					numbered[n] = true
					if rows[n] == "" {
						t.Errorf("%s of %s: docs/pitfalls.md has no %s", m[1], path, n)
					}
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(rows) < 40 {
		t.Errorf("only %d pitfalls were found", len(rows))
	}
	named := regexp.MustCompile("`(Test\\w+)`")
	for n, row := range rows {
		found := numbered[n]
		for _, m := range named.FindAllStringSubmatch(row, -1) {
			if found = tests[m[1]]; !found {
				t.Errorf("%s: there is no %s", n, m[1])
			}
		}
		if !found {
			t.Errorf("no test holds %s", n)
		}
	}
}
