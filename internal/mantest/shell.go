package mantest

import (
	"bytes"
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

//go:embed capture.zsh
var capture []byte

// ask runs the completion function that bash knows for the program, as bash
// does when somebody presses tab behind the last word.
const ask = `
source "$1" || exit
shift
function=$(complete -p "$1" | sed 's/.*-F \([^ ]*\) .*/\1/')
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
"$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
`

// Bash returns what bash proposes at the end of each line, sorted. Bash cuts words
// at = too: --qos=1 is three of them here.
func Bash(t testing.TB, lines ...string) [][]string {
	t.Helper()
	var answers [][]string
	for _, line := range lines {
		words := strings.Split(line, " ")
		script := filepath.Join(root(t), "packaging/completion", words[0]+".bash")
		answers = append(answers, sorted(run(t, "bash", append([]string{"-c", ask, "bash", script}, words...)...)))
	}
	return answers
}

// Zsh returns what zsh proposes at the end of each line, sorted.
func Zsh(t testing.TB, lines ...string) [][]string {
	t.Helper()
	script := filepath.Join(t.TempDir(), "capture.zsh")
	if err := os.WriteFile(script, capture, 0o600); err != nil {
		t.Fatal(err)
	}
	out := run(t, "zsh", append([]string{"-f", script, filepath.Join(root(t), "packaging/completion")}, lines...)...)
	var answers [][]string
	var words []string
	for line := range strings.Lines(out) {
		if word := strings.TrimSpace(line); word != "" {
			words = append(words, word)
			continue
		}
		answers = append(answers, sorted(strings.Join(words, " ")))
		words = nil
	}
	if len(answers) != len(lines) {
		t.Fatalf("zsh answered %d of %d lines", len(answers), len(lines))
	}
	return answers
}

func sorted(words string) []string {
	list := strings.Fields(words)
	slices.Sort(list)
	return slices.Compact(list)
}

// run runs a shell to its end, and wants no complaint.
func run(t testing.TB, shell string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Skip(shell + " is not installed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("%s: %v\n%s", shell, err, stderr.String())
	}
	return stdout.String()
}

// Proposal is a command line, and what the shells have to propose at its end.
type Proposal struct {
	Line  string
	Want  []string
	Other bool // more may be proposed
}

// Check holds both shells against what they ought to propose.
func Check(t *testing.T, list []Proposal) {
	t.Helper()
	lines := make([]string, len(list))
	for i, p := range list {
		lines[i] = p.Line
	}
	for shell, ask := range map[string]func(testing.TB, ...string) [][]string{"bash": Bash, "zsh": Zsh} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			for i, got := range ask(t, lines...) {
				p := list[i]
				missing := slices.ContainsFunc(p.Want, func(w string) bool { return !slices.Contains(got, w) })
				if want := sorted(strings.Join(p.Want, " ")); missing || !p.Other && !slices.Equal(got, want) {
					t.Errorf("%s: proposes %q, there are %q", p.Line, got, want)
				}
			}
		})
	}
}
