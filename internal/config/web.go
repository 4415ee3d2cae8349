package config

import "strings"

// checkWeb: who may look at the page is known where others than local users can reach
// it, or where not every local user may see everything.
func (l *loader) checkWeb() {
	w := &l.cfg.Web
	if w.PasswordFile != "" && !l.bad["web.password_file"] {
		file, err := readPasswords(w.PasswordFile)
		if err != nil {
			l.unread(err)
			l.wrong(l.at("web.password_file"), "web.password_file", "file "+w.PasswordFile+" "+err.Error())
			return
		}
		if file.Len() == 0 {
			l.wrong(l.at("web.password_file"), "web.password_file", "file "+w.PasswordFile+" names nobody, add somebody with mosquitto_passwd")
			return
		}
		w.Passwords = file
		if w.Listen == "" {
			l.warn(l.at("web.password_file"), "web.password_file", "is for web.listen, and that is empty: on the API socket the kernel says who asks")
		}
	}
	if w.Listen == "" || w.PasswordFile != "" || l.bad["web.listen"] || l.bad["web.password_file"] {
		return
	}
	const cure = "name a file that mosquitto_passwd writes in web.password_file, or "
	name, _, err := hostPort(w.Listen)
	switch unix := strings.HasPrefix(w.Listen, "unix:"); {
	case !unix && err == nil && !isLoopback(name):
		l.wrong(l.at("web.listen"), "web.listen", quoted(w.Listen)+" can be reached from outside and no password is asked for, "+cure+"write a loopback address")
	case len(l.cfg.Access) > 0:
		l.wrong(l.at("web.listen"), "web.listen", "shows everything to who is let in by no [[access]] rule, "+cure+"set web.listen to \"\"; the page is on the API socket too")
	}
}
