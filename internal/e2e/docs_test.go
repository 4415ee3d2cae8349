package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An example is a fenced block of a document, with what the test has to know of
// it. The comments stand on the line before the block, where readers of the
// document do not see them:
//
//	<!-- not run: REASON -->      it is shown, not run
//	<!-- before: COMMAND -->      of the simulator's language; "wait online" waits
//	<!-- after: COMMAND -->       the same
//	<!-- meanwhile: COMMAND -->   once it has printed something; it is a stream and
//	                              is ended when all that is expected has come
//
// A block without a language right behind it is what it prints; three dots stand
// for anything.
type example struct {
	line                     int // of the document
	language                 string
	text                     string
	before, after, meanwhile string
	notRun                   bool
	expected                 *string
}

// examples reads the blocks of a document in the languages that can be run.
func examples(t *testing.T, path string) []example {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	directive := regexp.MustCompile(`^<!-- (not run|before|after|meanwhile): (.*) -->$`)
	var list []example
	var next example
	last := -1 // the example that an output may belong to
	lines := strings.Split(string(data), "\n")
	for i := 0; i < len(lines); i++ {
		if m := directive.FindStringSubmatch(lines[i]); m != nil {
			switch m[1] {
			case "not run":
				next.notRun = true
			case "before":
				next.before = m[2]
			case "after":
				next.after = m[2]
			case "meanwhile":
				next.meanwhile = m[2]
			}
			continue
		}
		language, fence := strings.CutPrefix(lines[i], "```")
		if !fence {
			if strings.TrimSpace(lines[i]) != "" {
				last = -1
			}
			continue
		}
		begin := i + 1
		for i++; i < len(lines) && lines[i] != "```"; i++ {
		}
		text := strings.Join(lines[begin:min(i, len(lines))], "\n") + "\n"
		switch language {
		case "sh", "python", "go":
			next.line, next.language, next.text = begin+1, language, text
			list = append(list, next)
			next, last = example{}, len(list)-1
		case "":
			if last >= 0 {
				list[last].expected = &text
			}
			last = -1
		}
	}
	return list
}

// pattern makes a regular expression of what a document says a program prints.
func (x example) pattern() *regexp.Regexp {
	end := `\s*$`
	if x.meanwhile != "" {
		end = "" // a stream goes on
	}
	return regexp.MustCompile(`(?s)^` + strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(*x.expected)), `\.\.\.`, `.*?`) + end)
}

// Every example of the API's document, against the daemon and a simulated module,
// one after the other as somebody would type them.
func TestAPIDocument(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	g := newGateway(t, sim.device, "")
	g.reaches("online", "")
	dir := t.TempDir()
	run := 0
	for _, x := range examples(t, "../../docs/api.md") {
		if x.notRun {
			continue
		}
		run++
		t.Run(fmt.Sprintf("line %d %s", x.line, x.language), func(t *testing.T) {
			g.order(t, sim, x.before)
			x.run(t, sim, dir, "AIRBRIDGE_SOCKET="+g.socket, "pk="+productKey, "dn="+imei)
			g.order(t, sim, x.after)
		})
	}
	if run < 20 {
		t.Errorf("only %d examples were found", run)
	}
}

// The script for other people's CI, as it stands in the document; and the
// document's list of what can be ordered, which is that of the program.
func TestAirsimInCIDocument(t *testing.T) {
	t.Parallel()
	const path = "../../docs/airsim-in-ci.md"
	list := examples(t, path)
	if len(list) != 1 {
		t.Fatalf("%d examples", len(list))
	}
	list[0].run(t, nil, t.TempDir(), "PATH="+bin+":"+os.Getenv("PATH"))

	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "\n```text\n")
	words, _, _ := strings.Cut(rest, "\n```\n")
	if got := newSimulator(t).do("help"); strings.TrimSpace(got) != strings.TrimSpace(words) {
		t.Errorf("airsim do help prints something else; put this into %s:\n%s", path, got)
	}
}

// run runs an example in a directory with more in its environment.
func (x example) run(t *testing.T, sim *simulator, dir string, env ...string) {
	t.Helper()
	cmd := x.command(t, dir)
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = dir
	printed := newOutput()
	cmd.Stdout, cmd.Stderr = printed, printed
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // bash and what it started end together
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	x.follow(t, sim, cmd, printed, done)
}

// follow sees an example to its end, and what it prints.
func (x example) follow(t *testing.T, sim *simulator, cmd *exec.Cmd, printed *output, done <-chan error) {
	t.Helper()
	end := func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	defer end()
	ordered := x.meanwhile == ""
	deadline := time.After(patience)
	for {
		text := printed.String()
		if !ordered && strings.Contains(text, "\n") {
			ordered = true
			// What is pushed before the cloud has granted the filter arrives nowhere.
			eventually(t, "what happens meanwhile", func() error {
				if answer := sim.do(x.meanwhile); strings.Contains(answer, `"devices":0`) || strings.HasPrefix(answer, "0 ") {
					return fmt.Errorf("%s", answer)
				}
				return nil
			})
		}
		if x.meanwhile != "" && x.expected != nil && x.pattern().MatchString(text) {
			end()
			<-done
			return
		}
		select {
		case err := <-done:
			switch text = printed.String(); {
			case err != nil:
				t.Errorf("%v\n%s", err, text)
			case x.expected != nil && !x.pattern().MatchString(text):
				t.Errorf("it printed\n%s\nthe document says\n%s", text, *x.expected)
			}
			return
		case <-deadline:
			t.Fatalf("it goes on; so far it printed\n%s", text)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// command is how an example is run.
func (x example) command(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	tool := map[string]string{"sh": "bash", "python": "python3", "go": "go"}[x.language]
	for _, need := range []string{tool, "curl"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Skip(need + " is not installed")
		}
	}
	switch x.language {
	case "sh":
		return exec.Command(tool, "-euo", "pipefail", "-c", strings.ReplaceAll(x.text, "sudo ", ""))
	case "python":
		name := "example.py"
		if first, _, _ := strings.Cut(x.text, "\n"); strings.HasPrefix(first, "# ") && strings.HasSuffix(first, ".py") {
			name = strings.TrimPrefix(first, "# ")
		}
		write(t, filepath.Join(dir, name), x.text, 0o600)
		return exec.Command(tool, "-B", name)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(t.TempDir(), "example")
	if err := os.Mkdir(module, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(module, "go.mod"), "module example\n\ngo 1.26\n\nrequire airbridged v0.0.0\n\nreplace airbridged => "+root+"\n", 0o600)
	write(t, filepath.Join(module, "main.go"), x.text, 0o600)
	binary := filepath.Join(module, "example.bin")
	build := exec.Command(tool, "build", "-o", binary, ".")
	build.Dir = module
	build.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return exec.Command(binary)
}

// order gives the simulator a command and waits until the daemon knows.
func (g *gateway) order(t *testing.T, sim *simulator, command string) {
	t.Helper()
	if command == "" {
		return
	}
	want := "online"
	if command != "wait online" {
		sim.do(command)
		if strings.HasSuffix(command, " on") {
			want = "recovering"
		}
	}
	w := g.watch()
	w.until(want, "")
}

// Links between documents lead somewhere, to the very heading; and every document
// is in the index.
func TestDocumentsAreLinked(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatal("no documents", err)
	}
	index, err := os.ReadFile("../../docs/README.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, file := range append(files, "../../README.md", "../../ARCHITECTURE.md") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if name := filepath.Base(file); filepath.Dir(file) == "../../docs" && name != "README.md" && !strings.Contains(string(index), "]("+name+")") {
			t.Errorf("docs/README.md does not tell of %s", name)
		}
		for _, m := range link.FindAllStringSubmatch(string(data), -1) {
			target, fragment, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			path := file
			if target != "" {
				path = filepath.Join(filepath.Dir(file), target)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				if _, err := os.Stat(path); err != nil {
					t.Errorf("%s links to %s, which is not there", file, m[1])
				}
				continue
			}
			if fragment != "" && !hasHeading(string(text), fragment) {
				t.Errorf("%s links to %s: there is no such heading", file, m[1])
			}
		}
	}
}

// hasHeading says whether a document has a heading that is linked to so: lower
// case, without anything but letters, digits and dashes for blanks.
func hasHeading(text, fragment string) bool {
	not := regexp.MustCompile(`[^a-z0-9 _-]`)
	for line := range strings.Lines(text) {
		if heading := strings.TrimLeft(line, "#"); heading != line {
			slug := strings.ReplaceAll(not.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), ""), " ", "-")
			if slug == fragment {
				return true
			}
		}
	}
	return false
}
