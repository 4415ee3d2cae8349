package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// isBlank knows the blanks that documents and chats leave in a value: plain,
// no-break, ideographic and zero-width ones.
func isBlank(r rune) bool {
	return unicode.IsSpace(r) || r == '\u200b' || r == '\u200c' || r == '\u200d' || r == '\u2060' || r == '\ufeff'
}

// plain returns the text of a value without the blanks around it. Control
// characters are refused in every value: CR, LF, NUL, Ctrl-Z (0x1A) and Esc
// (0x1B) would end or abort an AT command.
func plain(v value) (string, error) {
	if v.kind != unstable.String {
		return "", fmt.Errorf(`is %s, write text in quotes: "value"`, kindName(v))
	}
	s := strings.TrimFunc(v.text, isBlank)
	for i, r := range s {
		if r < 0x20 || r == 0x7f {
			return "", fmt.Errorf("holds the control character 0x%02X at byte %d, which could end an AT command; delete it", r, i+1)
		}
	}
	return s, nil
}

// literal writes text as a TOML string. Control characters cannot occur.
func literal(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// quoted shows a bounded piece of a value in a message.
func quoted(s string) string { return strconv.Quote(shorten(s)) }

func shorten(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}

// optional lets an empty value pass.
func optional(check func(string) error) func(string) error {
	return func(s string) error {
		if s == "" {
			return nil
		}
		return check(s)
	}
}

func required(s string) error {
	if s == "" {
		return errors.New("is empty, write a value")
	}
	return nil
}

func eachRequired(list []string) error {
	for i, s := range list {
		if s == "" {
			return fmt.Errorf("entry %d is empty, delete it", i+1)
		}
	}
	return nil
}

// argument refuses what cannot stand between the quotes of an AT command, and
// blanks where no blank can be right.
func argument(s string) error {
	if err := unbroken(s); err != nil {
		return err
	}
	if strings.Contains(s, `"`) {
		return errors.New("holds a quote, which would end the argument of an AT command; delete it")
	}
	return nil
}

// unbroken refuses a blank inside. The vendor's guide prints its example
// secrets, hosts and topics with blanks where the PDF breaks the line.
func unbroken(s string) error {
	if i := strings.IndexFunc(s, isBlank); i >= 0 {
		return fmt.Errorf("has a blank inside, after character %d; none belongs there (PDF documents break values like this), delete it", utf8.RuneCountInString(s[:i]))
	}
	return nil
}

// made checks length and characters of a value that is an AT argument. what
// names the characters that pattern allows.
func made(s string, low, high int, pattern *regexp.Regexp, what string) error {
	if err := argument(s); err != nil {
		return err
	}
	if n := utf8.RuneCountInString(s); n < low || n > high {
		return fmt.Errorf("has %d characters, write %d to %d", n, low, high)
	}
	if !pattern.MatchString(s) {
		return fmt.Errorf("%s has a character that cannot be right, write %s", quoted(s), what)
	}
	return nil
}

var (
	label      = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	deviceForm = regexp.MustCompile(`^[A-Za-z0-9_@.:-]+$`)
	apnForm    = regexp.MustCompile(`^[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]+$`)
	hostForm   = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	gpioForm   = regexp.MustCompile(`^gpiochip[0-9]{1,4}/[0-9]{1,5}(/active-low)?$`)
	userForm   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$`)
)

// productKey: it is the first label of the default host name, so at most 63
// characters.
func productKey(s string) error {
	if isPlaceholder(s) {
		return fmt.Errorf("%s stands for a value, write the ProductKey of your product, as the console shows it", quoted(s))
	}
	return made(s, 1, 63, label, "the ProductKey of the product in the console: letters and digits")
}

// deviceName: 4 to 32 characters (Aliyun document 89298).
func deviceName(s string) error {
	if isPlaceholder(s) {
		return fmt.Errorf("%s stands for a value, write the DeviceName of your device, or leave it empty for the module's IMEI", quoted(s))
	}
	return made(s, 4, 32, deviceForm, "letters, digits and - _ @ . : only")
}

func region(s string) error {
	if err := required(s); err != nil {
		return err
	}
	return made(s, 2, 40, label, `a region like "cn-shanghai"`)
}

func instance(s string) error {
	if strings.Contains(s, ".") {
		return fmt.Errorf(`%s is a host name, write only the id of the instance ("iot-..."), or use cloud.mqtt_host`, quoted(s))
	}
	return made(s, 1, 63, label, `the id of the instance ("iot-...")`)
}

// apn: at most 50 characters (Air AT manual, SAPBR); no comma, quote or
// backslash.
func apn(s string) error {
	if isPlaceholder(s) {
		return fmt.Errorf("%s stands for a value, write the access point name of the SIM's operator", quoted(s))
	}
	return made(s, 1, 50, apnForm, "the access point name of the SIM's operator")
}

// apnUser: at most 64 characters (3GPP TS 27.007 section 10.1.31 leaves it open; vendor
// tools take 64); no comma, quote or backslash.
func apnUser(s string) error {
	return made(s, 1, 64, apnForm, "the user name that the SIM's operator gives with the access point")
}

// host: at most 255 characters (Air AT manual, MIPSTART).
func host(s string) error {
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		return fmt.Errorf("begins with %s://, write the host name only: %s", shorten(scheme), quoted(rest))
	}
	if name, port, ok := strings.Cut(s, ":"); ok {
		return fmt.Errorf("has a port, write %s here and %s into cloud.mqtt_port", quoted(name), quoted(port))
	}
	return made(s, 1, 255, hostForm, "a host name or an IPv4 address")
}

// httpsURL: at most 500 bytes (Air AT manual, HTTPPARA), and https: the
// request carries a signature, the answer a secret.
func httpsURL(s string) error {
	if err := argument(s); err != nil {
		return err
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme == "":
		return fmt.Errorf("%s is no address, write https://host/path", quoted(s))
	case u.Scheme != "https":
		return fmt.Errorf("begins with %s://, write https://: the answer holds a secret", shorten(u.Scheme))
	case u.Hostname() == "" || u.Opaque != "":
		return errors.New("has no host, write https://host/path")
	case u.User != nil:
		return errors.New("holds a user or a password, write https://host/path")
	case u.Fragment != "" || strings.Contains(s, `\`):
		return errors.New("holds # or a backslash, write https://host/path")
	case u.Port() == "0":
		return errors.New("has port 0, write a port from 1 to 65535 or none")
	case len(s) > 500:
		return fmt.Errorf("has %d bytes, the module takes at most 500, write a shorter one", len(s))
	case !printable(s):
		return errors.New("has a character outside ASCII, write it percent-encoded")
	}
	return nil
}

// printable says whether s is ASCII without control characters.
func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e }) < 0
}

func gpioLine(s string) error {
	if !gpioForm.MatchString(s) {
		return fmt.Errorf(`%s is no GPIO line, write "gpiochip0/17" or "gpiochip0/17/active-low"`, quoted(s))
	}
	return nil
}

func command(list []string) error {
	if err := eachRequired(list); err != nil {
		return err
	}
	if len(list) == 1 && strings.Contains(list[0], " ") {
		return fmt.Errorf("is one text with blanks and no shell takes it apart, write [%s]", `"`+strings.Join(strings.Fields(shorten(list[0])), `", "`)+`"`)
	}
	return nil
}

func absolute(s string) error {
	if !strings.HasPrefix(s, "/") {
		return fmt.Errorf("%s is no absolute path, write one that begins with /", quoted(s))
	}
	return nil
}

// secretPath does not show the value: it may be the secret itself.
func secretPath(s string) error {
	if absolute(s) != nil {
		return errors.New("must be the absolute path of a file that holds the secret, not the secret itself and not a relative path")
	}
	return nil
}

// shared are directories that belong to others too.
var shared = []string{
	"/", "/bin", "/boot", "/dev", "/dev/shm", "/etc", "/home", "/lib", "/media", "/mnt", "/opt", "/proc", "/root", "/run",
	"/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/run", "/var/tmp",
}

// ownDirectory refuses a directory that the daemon must not make its own.
func ownDirectory(s string) error {
	if err := absolute(s); err != nil {
		return err
	}
	if trimmed := strings.TrimRight(s, "/."); slices.Contains(shared, trimmed) || trimmed == "" {
		return fmt.Errorf("%s belongs to others too, write a directory of its own like /var/lib/airbridged", quoted(s))
	}
	return nil
}

// socketPath: at most 107 bytes (unix(7): sun_path).
func socketPath(s string) error {
	if err := absolute(s); err != nil {
		return err
	}
	if len(s) > 107 {
		return fmt.Errorf("has %d bytes, a socket's path has at most 107, write a shorter one", len(s))
	}
	return nil
}

func account(s string) error {
	if !userForm.MatchString(s) || len(s) > 32 {
		return fmt.Errorf("%s is no name of a user or group, write one that the system knows", quoted(s))
	}
	return nil
}

// title is what an access rule is called in refusals.
func title(s string) error {
	if n := utf8.RuneCountInString(s); n > 40 {
		return fmt.Errorf("has %d characters, write at most 40 characters", n)
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == '"' }); i >= 0 {
		return fmt.Errorf("%s has a character that is no good in a name, write letters, digits and blanks", quoted(s))
	}
	return nil
}

// loopback takes host:port that only this machine can reach: neither listener
// knows passwords.
func loopback(s string) error {
	if strings.HasPrefix(s, "/") || strings.HasPrefix(s, "unix:") {
		return errors.New(`is a Unix socket, write that into mqtt.socket, and here "127.0.0.1:1883" or ""`)
	}
	return loopbackTCP(s)
}

func loopbackTCP(s string) error {
	name, port, err := hostPort(s)
	if err != nil {
		return err
	}
	if isLoopback(name) {
		return nil
	}
	return fmt.Errorf(`%s can be reached from outside, write a loopback address: "127.0.0.1:%s"`, quoted(s), port)
}

func isLoopback(name string) bool {
	addr, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && addr.IsLoopback()
}

// hostPort takes an address with a port apart.
func hostPort(s string) (name, port string, err error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", "", fmt.Errorf(`%s has no port, write for example "127.0.0.1:9481"`, quoted(s))
	}
	name, port = strings.Trim(s[:i], "[]"), s[i+1:]
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", fmt.Errorf("%s has no port from 1 to 65535, write for example 127.0.0.1:9481", quoted(s))
	}
	return name, port, nil
}

// addressOrUnix takes host:port of any address of this machine, or unix:/path.
func addressOrUnix(s string) error {
	if strings.HasPrefix(s, "unix:") || strings.HasPrefix(s, "/") {
		return loopbackOrUnix(s)
	}
	name, port, err := hostPort(s)
	if err != nil {
		return err
	}
	if _, err := netip.ParseAddr(name); err != nil && name != "localhost" {
		return fmt.Errorf(`%s does not begin with an address of this machine, write one: "127.0.0.1:%s" for this machine alone, "0.0.0.0:%s" or "[::]:%[3]s" for all that reach it`, quoted(s), port, port)
	}
	return nil
}

func loopbackOrUnix(s string) error {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		return socketPath(path)
	}
	if strings.HasPrefix(s, "/") {
		return fmt.Errorf("is a path, write it as unix:%s", shorten(s))
	}
	return loopbackTCP(s)
}
