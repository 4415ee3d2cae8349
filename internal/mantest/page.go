// Package mantest reads the sources of the manual pages, and asks bash and zsh
// what they propose at the end of a command line, so that the tests of a program
// can hold its pages and its completion against its help.
//
// It runs the shells that are installed, and skips a test where one is missing.
// It never looks into the completion scripts. Only tests import it.
package mantest

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// root is the top of the repository.
func root(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		t.Skip("the tests are built with -trimpath, so the repository is not known")
	}
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Page returns the source of a manual page, such as "airbridged.8", as text of
// its sections by heading ("# NAME" and "## status" alike), without the marks of
// bold and underlined words in headings.
func Page(t testing.TB, name string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root(t), "docs/man", name+".scd"))
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	heading := ""
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") {
			heading = strings.NewReplacer("_", "", "*", "").Replace(strings.Trim(line, "# \n"))
			continue
		}
		sections[heading] += line
	}
	return sections
}

// flag is an option in the margin of a page: *--wait* _DURATION_.
var flag = regexp.MustCompile(`\*(--?[a-zA-Z][a-z0-9-]*)\*`)

// Flags returns the options that a section explains, sorted.
func Flags(section string) []string {
	var list []string
	lines := strings.Split(section, "\n")
	for i, line := range lines[:max(0, len(lines)-1)] {
		// The explanation is indented; other lines are wrapped text.
		if !strings.HasPrefix(line, "*-") || !strings.HasPrefix(lines[i+1], "\t") {
			continue
		}
		for _, m := range flag.FindAllStringSubmatch(line, -1) {
			list = append(list, m[1])
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// mentioned is an option anywhere in a help text.
var mentioned = regexp.MustCompile(`(?m)(?:^|[\s\[])(--?[a-zA-Z][a-z0-9-]*)\b`)

// Mentioned returns the options that a help text names, sorted.
func Mentioned(help string) []string {
	var list []string
	for _, m := range mentioned.FindAllStringSubmatch(help, -1) {
		list = append(list, m[1])
	}
	slices.Sort(list)
	return slices.Compact(list)
}
