package unit

import (
	"os"
	"path/filepath"
	"strings"
)

// Credential is a secret that a unit says where to take from (systemd.exec(5)).
type Credential struct {
	Name    string
	Setting string // LoadCredential, LoadCredentialEncrypted, SetCredential, SetCredentialEncrypted, ImportCredential
	Path    string // of the file, where there is one; "" where the unit file itself has the text
}

// There says whether the file that the credential comes from exists, as far as this
// user can see.
func (c Credential) There() bool {
	if c.Path == "" {
		return true
	}
	_, err := os.Stat(c.Path)
	return err == nil
}

// Readable says whether the text of the file is the secret itself.
func (c Credential) Readable() bool {
	return c.Path != "" && !strings.HasSuffix(c.Setting, "Encrypted")
}

// stores are where systemd looks for credentials that are named without a path.
var stores = []string{"/etc/credstore", "/run/credstore", "/usr/lib/credstore"}

// Credentials are the secrets that the unit is to be handed. emptied is the file that
// took away what an earlier one had named, and nothing was named after it.
func (u *Unit) Credentials() (list []Credential, emptied string) {
	for _, file := range u.files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for _, s := range settings(string(text), "Service") {
			if !strings.Contains(s.key, "Credential") {
				continue
			}
			if s.value == "" {
				if len(list) > 0 {
					emptied = file
				}
				list = without(list, s.key)
				continue
			}
			list = append(list, u.credential(s.key, s.value))
		}
	}
	if len(list) > 0 {
		emptied = ""
	}
	return list, emptied
}

// without is the list after an empty assignment. LoadCredential= empties
// LoadCredentialEncrypted= as well, and SetCredential= likewise (systemd 252,
// load-fragment.c: one table for both).
func without(list []Credential, key string) []Credential {
	var left []Credential
	for _, c := range list {
		if strings.TrimSuffix(c.Setting, "Encrypted") != strings.TrimSuffix(key, "Encrypted") {
			left = append(left, c)
		}
	}
	return left
}

func (u *Unit) credential(setting, value string) Credential {
	value = u.expand(value)
	name, source, _ := strings.Cut(value, ":")
	source = strings.TrimSpace(source)
	c := Credential{Name: name, Setting: setting}
	switch {
	case strings.HasPrefix(setting, "SetCredential"):
		return c
	case setting == "ImportCredential" || source == "":
		source = name
	}
	if filepath.IsAbs(source) {
		c.Path = source
		return c
	}
	for _, dir := range u.stores(setting) {
		c.Path = filepath.Join(dir, source)
		if c.There() {
			return c
		}
	}
	c.Path = filepath.Join(stores[0], source)
	return c
}

// stores: an encrypted credential is looked for in directories of its own first.
func (u *Unit) stores(setting string) []string {
	if !strings.HasSuffix(setting, "Encrypted") && setting != "ImportCredential" {
		return stores
	}
	var list []string
	for _, dir := range stores {
		list = append(list, dir+".encrypted")
	}
	return append(list, stores...)
}

// expand replaces the specifiers that stand for the unit's name (systemd.unit(5)).
func (u *Unit) expand(s string) string {
	prefix, instance, _ := strings.Cut(u.Base(), "@")
	return strings.NewReplacer("%%", "%", "%i", instance, "%I", instance, "%p", prefix, "%P", prefix, "%n", u.Name, "%N", u.Base()).Replace(s)
}

// setting is a line of a unit file.
type setting struct{ key, value string }

// settings are those of one section, in order; lines that end in a backslash go on in
// the next one (systemd.syntax(7)).
func settings(text, section string) []setting {
	var list []setting
	in, pending := false, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") || line == "" && pending == "" {
			continue
		}
		line = pending + line
		if before, more := strings.CutSuffix(line, `\`); more {
			pending = before + " "
			continue
		}
		pending = ""
		if strings.HasPrefix(line, "[") {
			in = line == "["+section+"]"
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && in {
			list = append(list, setting{strings.TrimSpace(key), strings.TrimSpace(value)})
		}
	}
	return list
}
