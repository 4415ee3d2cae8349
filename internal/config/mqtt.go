package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"airbridged/internal/passwords"
)

// checkMQTT reads the passwords of MQTT clients on TCP.
func (l *loader) checkMQTT() {
	m := &l.cfg.MQTT
	if m.PasswordFile == "" || l.bad["mqtt.password_file"] {
		return
	}
	file, err := readPasswords(m.PasswordFile)
	if err != nil {
		l.unread(err)
		l.wrong(l.at("mqtt.password_file"), "mqtt.password_file", "file "+m.PasswordFile+" "+err.Error())
		return
	}
	m.Passwords = file
	if m.Listen == "" {
		l.warn(l.at("mqtt.password_file"), "mqtt.password_file", "is for clients on TCP, and mqtt.listen is empty: on the socket the kernel says who a program is")
	}
}

// readPasswords reads a password file. It holds hashes and no passwords, but those
// of short ones are soon found: others may not read it.
func readPasswords(path string) (*passwords.File, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("does not exist, make it with mosquitto_passwd -c")
	case err != nil:
		return nil, &fileError{fileTrouble(err) + ", make it readable for the daemon's user", err}
	case !info.Mode().IsRegular():
		return nil, errors.New("is not a regular file, name the one that mosquitto_passwd writes")
	case info.Mode().Perm()&0o007 != 0:
		return nil, fmt.Errorf("can be opened by everybody (mode %04o), close it: chmod o= %s", info.Mode().Perm(), path)
	case info.Size() > passwords.MaxFile:
		return nil, fmt.Errorf("has %d bytes, too many for passwords, name the file that mosquitto_passwd writes", info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &fileError{fileTrouble(err) + ", make it readable for the daemon's user", err}
	}
	return passwords.Parse(data)
}
