package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"airbridged/internal/secret"
)

// Where secrets come from besides files that the configuration names. The
// credentials directory is systemd's (systemd.exec(5), LoadCredential=).
const (
	credentialsVariable   = "CREDENTIALS_DIRECTORY"
	productSecretVariable = "AIRBRIDGED_PRODUCT_SECRET"
	productCredential     = "product-secret"
	deviceCredential      = "device-secret"
	apnCredential         = "apn-password"
)

// Bounds of a secret in bytes. Aliyun's have 16 (product) and 32 (device).
const (
	maxSecret     = 256
	maxSecretFile = 4096
)

// secrets reads both secrets and refuses a configuration that has none.
func (l *loader) secrets() {
	d := &l.cfg.Device
	before := len(l.mistakes)
	d.ProductSecret, d.ProductFrom = l.pick("device.product_secret_file", l.sources(d.ProductSecretFile, productCredential, productSecretVariable))
	d.DeviceSecret, d.DeviceFrom = l.pick("device.device_secret_file", l.sources(d.DeviceSecretFile, deviceCredential, ""))
	unread := len(l.mistakes) > before || l.bad["device.product_secret_file"] || l.bad["device.device_secret_file"]
	_, product := l.handedOver(productCredential)
	_, device := l.handedOver(deviceCredential)
	if d.ProductSecret.Empty() && d.DeviceSecret.Empty() && !unread && !product && !device {
		l.wrong(l.at("device.product_secret_file"), "device.product_secret_file", l.noSecret())
	}
}

// apnPassword reads the password of the access point, and refuses what does not go
// together with it. A credential is there for all configurations of a gateway: it counts
// only where a user name does.
func (l *loader) apnPassword() {
	m := &l.cfg.Modem
	_, apn := l.where["modem.apn"]
	_, user := l.where["modem.apn_user"]
	m.APNGiven = apn && m.APN != "" || user && m.APNUser != ""
	const key = "modem.apn_password_file"
	switch {
	case m.APNUser != "":
		m.APNPassword, m.APNPasswordFrom = l.pick(key, l.sources(m.APNPasswordFile, apnCredential, ""))
		if i := strings.IndexAny(m.APNPassword.Reveal(), `"\\`); i >= 0 {
			l.wrong(l.at(key), key, m.APNPasswordFrom+" holds a quote or a backslash, which no AT command can carry: have the operator change it")
		}
	case m.APNPasswordFile != "":
		l.wrong(l.at(key), key, "is set without modem.apn_user, write the user name as well, or delete it")
	}
	switch none := m.APNAuth == "none"; {
	case m.APNUser != "" && none && !l.bad["modem.apn_auth"]:
		l.wrong(l.at("modem.apn_user"), "modem.apn_user", `is set, and modem.apn_auth is "none", write apn_auth = "pap" or "chap", as the operator says, or delete the user name`)
	case m.APNUser == "" && !none && !l.bad["modem.apn_user"]:
		l.wrong(l.at("modem.apn_auth"), "modem.apn_auth", "is "+m.APNAuth+" without modem.apn_user, write the user name as well, or delete it")
	}
}

// source is one place that a secret can come from.
type source struct {
	name string // for people
	read func() (secret.Text, error)
}

// sources lists the places where a secret is, the first one to be used first.
func (l *loader) sources(file, credential, variable string) []source {
	dir := os.Getenv(credentialsVariable)
	var list []source
	if file != "" {
		list = append(list, source{"file " + file, func() (secret.Text, error) { return readSecret(file, inside(dir, file)) }})
	}
	if path := filepath.Join(dir, credential); dir != "" {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			list = append(list, source{"credential " + credential, func() (secret.Text, error) { return readSecret(path, true) }})
		}
	}
	given, _ := l.handedOver(credential)
	list = append(list, given...)
	if text := os.Getenv(variable); variable != "" && text != "" {
		list = append(list, source{"$" + variable, func() (secret.Text, error) { return checkSecret(text) }})
	}
	return list
}

// pick reads every source, so that a broken one is told even where another one
// would do, and returns the first that can be read.
func (l *loader) pick(key string, list []source) (picked secret.Text, from string) {
	for _, s := range list {
		text, err := s.read()
		switch {
		case err != nil:
			l.unread(err)
			l.wrong(l.at(key), key, s.name+" "+err.Error())
		case picked.Empty():
			picked, from = text, s.name
		case text != picked:
			l.warn(l.at(key), key, s.name+" holds another secret than "+from+", which is used")
		}
	}
	return picked, from
}

// readSecret reads a secret file. Unless it is a systemd credential, whose
// directory nobody else can enter, it must be closed to group and others.
func readSecret(path string, credential bool) (secret.Text, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return secret.Text{}, errors.New("does not exist, write the secret into it and chmod it to 600")
	case err != nil:
		return secret.Text{}, &fileError{fileTrouble(err) + ", make it readable for the daemon's user", err}
	case !info.Mode().IsRegular():
		return secret.Text{}, errors.New("is not a regular file, name the file that holds the secret")
	case !credential && info.Mode().Perm()&0o077 != 0:
		return secret.Text{}, fmt.Errorf("can be opened by others (mode %04o), close it: chmod 600 %s", info.Mode().Perm(), path)
	case info.Size() > maxSecretFile:
		return secret.Text{}, fmt.Errorf("has %d bytes, too many for a secret, name the file that holds nothing else", info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return secret.Text{}, &fileError{fileTrouble(err) + ", make it readable for the daemon's user", err}
	}
	return checkSecret(string(data))
}

// fileError is a file that cannot be read, in words, and why.
type fileError struct {
	text string
	err  error
}

func (e *fileError) Error() string { return e.text }
func (e *fileError) Unwrap() error { return e.err }

// checkSecret trims a secret and refuses what cannot be one. Its messages
// count characters and never show them.
func checkSecret(text string) (secret.Text, error) {
	s := strings.TrimFunc(text, isBlank)
	if s == "" {
		return secret.Text{}, errors.New("is empty, write the secret into it")
	}
	if err := argument(s); err != nil {
		return secret.Text{}, err
	}
	if isPlaceholder(s) {
		return secret.Text{}, errors.New("has the words that stand for a secret in the documents, write yours, as the console shows it")
	}
	if !printable(s) {
		return secret.Text{}, errors.New("has a control character or one outside ASCII, copy the secret from the console again")
	}
	if len(s) > maxSecret {
		return secret.Text{}, fmt.Errorf("has %d characters, a secret has at most %d, copy it from the console again", len(s), maxSecret)
	}
	return secret.New(s), nil
}

// inside says whether a file lies in a directory, symbolic links followed.
func inside(dir, file string) bool {
	if dir == "" {
		return false
	}
	realDir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	realFile, err := filepath.EvalSymlinks(file)
	if err != nil {
		return false
	}
	return strings.HasPrefix(realFile, strings.TrimRight(realDir, "/")+"/")
}
