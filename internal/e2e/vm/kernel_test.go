package vm

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// kernel is one of Debian's for a processor.
type kernel struct {
	arch    string // Debian's word
	goarch  string
	meta    string // the package that depends on the newest
	release string // what uname -r says
	dir     string // with boot and lib/modules
}

var kernels = map[string]kernel{
	"amd64": {arch: "amd64", goarch: "amd64", meta: "linux-image-amd64"},
	"armhf": {arch: "armhf", goarch: "arm", meta: "linux-image-armmp"},
	"arm64": {arch: "arm64", goarch: "arm64", meta: "linux-image-arm64"},
}

// download fetches the packages of $2 for the processor $1 into $3, with lists of its
// own, so that nothing of the machine that runs the tests is changed.
const download = `set -e
mkdir -p "$3/lists/partial" "$3/cache/archives/partial" "$3/debs"; : >"$3/status"
apt() { command="$1"; shift; "apt-$command" -qq -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o Dir::State::Lists="$dir/lists" \
    -o Dir::Cache="$dir/cache" -o Dir::State::status="$dir/status" -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Sandbox::User=root "$@"; }
arch="$1" dir="$3"
apt get update
image=$(apt cache depends "$2" | sed -n 's/.*Depends: *//p' | head -1)
cd "$3/debs"; apt get download "$image" busybox-static
for deb in *.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$3/root" --no-same-owner; done`

// fetch returns a kernel, from $AIRBRIDGED_VM_CACHE where it was fetched before.
func fetch(t *testing.T, arch string) kernel {
	t.Helper()
	k := kernels[arch]
	dir := filepath.Join(cache(t), arch)
	if k.find(dir) != nil {
		fresh := dir + ".new"
		_ = os.RemoveAll(fresh)
		must(t, os.MkdirAll(fresh+"/root", 0o755))
		if out, err := exec.Command("bash", "-c", download, "download", k.arch, k.meta, fresh).CombinedOutput(); err != nil {
			t.Fatalf("Debian's kernel for %s: %v\n%s", arch, err, out)
		}
		_ = os.RemoveAll(dir)
		must(t, os.Rename(fresh+"/root", dir))
		_ = os.RemoveAll(fresh)
	}
	if err := k.find(dir); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *kernel) find(dir string) error {
	images, _ := filepath.Glob(dir + "/boot/vmlinuz-*")
	if len(images) != 1 {
		return fmt.Errorf("%s: %d kernels", dir, len(images))
	}
	k.dir, k.release = dir, strings.TrimPrefix(filepath.Base(images[0]), "vmlinuz-")
	return nil
}

func (k kernel) image() string { return k.dir + "/boot/vmlinuz-" + k.release }

// modules returns the files of modules and of what they need, what is needed first. What
// the kernel holds itself is left out.
func (k kernel) modules(names ...string) (files []string, err error) {
	where := map[string]string{}
	root := k.dir + "/lib/modules/" + k.release
	err = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(path), ".ko"); ok {
			where[strings.ReplaceAll(name, "-", "_")] = path
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	builtin, err := os.ReadFile(root + "/modules.builtin")
	if err != nil {
		return nil, err
	}
	var add func(name string) error
	add = func(name string) error {
		name = strings.ReplaceAll(name, "-", "_")
		path, ok := where[name]
		if !ok {
			if bytes.Contains(bytes.ReplaceAll(builtin, []byte("-"), []byte("_")), []byte("/"+name+".ko")) {
				return nil
			}
			return fmt.Errorf("kernel %s has no module %s", k.release, name)
		}
		if slices.Contains(files, path) {
			return nil
		}
		needed, err := needs(path)
		if err != nil {
			return err
		}
		for _, n := range needed {
			if err := add(n); err != nil {
				return err
			}
		}
		files = append(files, path)
		return nil
	}
	for _, name := range names {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// needs reads which modules a module depends on, of its section .modinfo.
func needs(path string) ([]string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("%s: no .modinfo", path)
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	var all []string
	for line := range bytes.SplitSeq(info, []byte{0}) {
		key, value, _ := bytes.Cut(line, []byte("="))
		if string(key) == "depends" {
			all = append(all, strings.FieldsFunc(string(value), func(r rune) bool { return r == ',' })...)
		}
	}
	return all, nil
}

// initramfs writes one with the modules, busybox, the programs and guest as its init.
func (k kernel) initramfs(t *testing.T, path string, modules ...string) {
	t.Helper()
	var a archive
	for _, dir := range []string{"bin", "dev", "etc", "modules", "proc", "run", "sys", "tmp", "var", "var/lib", "var/lib/airbridged", "mnt"} {
		a.add(dir, 0o40755, nil)
	}
	files, err := k.modules(modules...)
	must(t, err)
	var order []string
	for _, file := range files {
		b, err := os.ReadFile(file)
		must(t, err)
		a.add("modules/"+filepath.Base(file), 0o100644, b)
		order = append(order, filepath.Base(file))
	}
	a.add("modules/order", 0o100644, []byte(strings.Join(order, "\n")))
	programs := build(t, k.goarch)
	for _, name := range []string{"airbridged", "airbridgectl", "airsim"} {
		b, err := os.ReadFile(filepath.Join(programs, name))
		must(t, err)
		a.add("bin/"+name, 0o100755, b)
	}
	b, err := os.ReadFile(filepath.Join(programs, "guest"))
	must(t, err)
	a.add("init", 0o100755, b)
	b, err = os.ReadFile(k.dir + "/bin/busybox")
	must(t, err)
	a.add("bin/busybox", 0o100755, b)
	for _, name := range []string{"sh", "cat"} { // before --install made the rest
		a.add("bin/"+name, 0o120777, []byte("busybox"))
	}
	a.add("TRAILER!!!", 0, nil)
	f, err := os.Create(path)
	must(t, err)
	z, _ := gzip.NewWriterLevel(f, gzip.BestSpeed)
	_, err = z.Write(a.Bytes())
	must(t, err)
	must(t, z.Close())
	must(t, f.Close())
}

// archive is a cpio archive as the kernel unpacks it: format newc, see
// Documentation/driver-api/early-userspace/buffer-format.rst in its source.
type archive struct {
	bytes.Buffer
	inode int
}

func (a *archive) add(name string, mode int, content []byte) {
	a.inode++
	links := 1
	fmt.Fprintf(a, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.inode, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(name)+1, 0, name)
	a.pad()
	a.Write(content)
	a.pad()
}

func (a *archive) pad() { a.Write(make([]byte, -a.Len()&3)) }
