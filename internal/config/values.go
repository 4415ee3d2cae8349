package config

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"airbridged/internal/typo"
)

// text is a key that holds text; check judges it once blanks around it are
// gone and no control character is in it.
func text(name string, at func(*Config) *string, check func(string) error) key {
	return key{
		name: name,
		set: func(c *Config, v value) error {
			s, err := plain(v)
			if err == nil {
				err = check(s)
			}
			if err == nil {
				*at(c) = s
			}
			return err
		},
		show: func(c *Config) string { return literal(*at(c)) },
	}
}

// choice is a key that holds one of a few words.
func choice(name string, at func(*Config) *string, words ...string) key {
	return text(name, at, func(s string) error {
		if slices.Contains(words, s) {
			return nil
		}
		list := strings.Join(words, ", ")
		if near := typo.Nearest(s, words); near != "" {
			return fmt.Errorf("unknown word %s, did you mean %q? (one of %s)", quoted(s), near, list)
		}
		return fmt.Errorf("unknown word %s, write one of %s", quoted(s), list)
	})
}

// texts is a key that holds a list of texts.
func texts(name string, at func(*Config) *[]string, check func([]string) error) key {
	return key{
		name: name,
		set: func(c *Config, v value) error {
			if v.kind != unstable.Array {
				return fmt.Errorf(`is %s, write a list of texts: ["one", "two"]`, kindName(v))
			}
			var list []string
			for i, e := range v.list {
				s, err := plain(e)
				if err != nil {
					return fmt.Errorf("entry %d %w", i+1, err)
				}
				list = append(list, s)
			}
			if err := check(list); err != nil {
				return err
			}
			*at(c) = list
			return nil
		},
		show: func(c *Config) string {
			list := *at(c)
			parts := make([]string, len(list))
			for i, s := range list {
				parts[i] = literal(s)
			}
			return "[" + strings.Join(parts, ", ") + "]"
		},
	}
}

// number is a key that holds a whole number from low to high.
func number(name string, at func(*Config) *int, low, high int) key {
	return key{
		name: name,
		set: func(c *Config, v value) error {
			n, err := whole(v)
			if err != nil {
				return err
			}
			if n < int64(low) || n > int64(high) {
				return fmt.Errorf("is %d, write a number from %d to %d", n, low, high)
			}
			*at(c) = int(n)
			return nil
		},
		show: func(c *Config) string { return strconv.Itoa(*at(c)) },
	}
}

// rates are the line speeds of AT+IPR.
var rates = []int{0, 1200, 2400, 4800, 9600, 14400, 19200, 28800, 38400, 57600, 115200, 230400, 460800, 921600}

// trained are those that a daemon with baud = 0 looks for a module at: one that is
// left at another could not be found again.
var trained = []int{0, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600}

// rate is a key that holds one of these line speeds.
func rate(name string, at func(*Config) *int, rates []int) key {
	k := number(name, at, 0, 921600)
	anything := k.set
	k.set = func(c *Config, v value) error {
		before := *at(c)
		if err := anything(c, v); err != nil {
			return err
		}
		if n := *at(c); !slices.Contains(rates, n) {
			*at(c) = before
			return fmt.Errorf("is %d, write 0 or a usual line speed: 9600, 57600, 115200, 230400, 460800, 921600", n)
		}
		return nil
	}
	return k
}

// yesNo is a key that holds true or false.
func yesNo(name string, at func(*Config) *bool) key {
	return key{
		name: name,
		set: func(c *Config, v value) error {
			if v.kind != unstable.Bool {
				return fmt.Errorf("is %s, write true or false without quotes", kindName(v))
			}
			*at(c) = v.text == "true"
			return nil
		},
		show: func(c *Config) string { return strconv.FormatBool(*at(c)) },
	}
}

// duration is a key that holds a duration from low to high.
func duration(name string, at func(*Config) *time.Duration, low, high time.Duration) key {
	return key{
		name: name,
		set: func(c *Config, v value) error {
			d, err := parseDuration(v)
			if err != nil {
				return err
			}
			if d < low || d > high {
				return fmt.Errorf("is %s, write a duration from %s to %s", showDuration(d), showDuration(low), showDuration(high))
			}
			*at(c) = d
			return nil
		},
		show: func(c *Config) string { return literal(showDuration(*at(c))) },
	}
}

// seconds is a duration that goes into an AT command as whole seconds.
func seconds(name string, at func(*Config) *time.Duration, low, high time.Duration) key {
	k := duration(name, at, low, high)
	anything := k.set
	k.set = func(c *Config, v value) error {
		before := *at(c)
		if err := anything(c, v); err != nil {
			return err
		}
		if d := *at(c); d%time.Second != 0 {
			*at(c) = before
			return fmt.Errorf("is %s, write whole seconds", showDuration(d))
		}
		return nil
	}
	return k
}

// days finds what people write for a day.
var days = regexp.MustCompile(`^([0-9]{1,5}) *(?:d|day|days)$`)

func parseDuration(v value) (time.Duration, error) {
	if v.kind == unstable.Integer {
		return 0, fmt.Errorf(`is a number, write a duration in quotes with its unit: "%ss" or "%sm"`, shorten(v.text), shorten(v.text))
	}
	if v.kind != unstable.String {
		return 0, fmt.Errorf(`is %s, write a duration in quotes with its unit: "5m"`, kindName(v))
	}
	s, err := plain(v)
	if err != nil {
		return 0, err
	}
	d, err := time.ParseDuration(s)
	if m := days.FindStringSubmatch(s); m != nil {
		n, _ := strconv.Atoi(m[1])
		return 0, fmt.Errorf(`%s: days are written in hours: "%dh"`, quoted(s), 24*n)
	}
	if err != nil {
		return 0, fmt.Errorf(`%s is no duration, write a number with its unit: "300ms", "90s", "5m", "1h30m"`, quoted(s))
	}
	return d, nil
}

// showDuration drops the zero minutes and seconds that package time prints.
func showDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// units are the sizes that can be written, largest first.
var units = []struct {
	name  string
	bytes int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

var sizeForm = regexp.MustCompile(`^([0-9]{1,15}) *([A-Za-z]*)$`)

// size is a key that holds a number of bytes from low to high.
func size(name string, at func(*Config) *int64, low, high int64) key {
	return key{
		name: name,
		set: func(c *Config, v value) error {
			n, err := parseSize(v)
			if err != nil {
				return err
			}
			if n < low || n > high {
				return fmt.Errorf("is %s, write a size from %s to %s", showSize(n), showSize(low), showSize(high))
			}
			*at(c) = n
			return nil
		},
		show: func(c *Config) string { return literal(showSize(*at(c))) },
	}
}

// sizeOrNone is a size that "0" turns off.
func sizeOrNone(name string, at func(*Config) *int64, low, high int64) key {
	k := size(name, at, low, high)
	sized, shown := k.set, k.show
	k.set = func(c *Config, v value) error {
		if s, err := plain(v); err == nil && s == "0" {
			*at(c) = 0
			return nil
		}
		return sized(c, v)
	}
	k.show = func(c *Config) string {
		if *at(c) == 0 {
			return literal("0")
		}
		return shown(c)
	}
	return k
}

func parseSize(v value) (int64, error) {
	if v.kind != unstable.String {
		return 0, fmt.Errorf(`is %s, write a size in quotes with its unit: "64MiB"`, kindName(v))
	}
	s, err := plain(v)
	if err != nil {
		return 0, err
	}
	const form = `write a number with its unit: "512KiB", "64MiB", "1GiB"`
	m := sizeForm.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%s is no size, %s", quoted(s), form)
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	for _, u := range units {
		if u.name == m[2] {
			if n > 1<<62/u.bytes {
				return 0, fmt.Errorf("%s is more than can be counted, %s", quoted(s), form)
			}
			return n * u.bytes, nil
		}
		// 64MB, 64M and 64mib are all slips for the same thing.
		if m[2] != "" && strings.EqualFold(u.name[:1], m[2][:1]) && len(m[2]) <= 3 {
			return 0, fmt.Errorf(`%s has an unknown unit, did you mean "%d%s"?`, quoted(s), n, u.name)
		}
	}
	return 0, fmt.Errorf("%s has no unit that is known, %s", quoted(s), form)
}

func showSize(n int64) string {
	for _, u := range units {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return "0B"
}

// mode is socket.mode: octal permission bits in quotes.
func mode(name string) key {
	return key{
		name: name,
		set: func(c *Config, v value) error {
			if v.kind != unstable.String {
				return fmt.Errorf(`is %s, write the file mode in quotes: "0660"`, kindName(v))
			}
			s, err := plain(v)
			if err != nil {
				return err
			}
			n, err := strconv.ParseUint(s, 8, 32)
			if err != nil || len(s) < 3 || len(s) > 4 || n > 0o777 {
				return fmt.Errorf(`%s is no file mode, write three octal digits, like "0660"`, quoted(s))
			}
			if n&0o200 == 0 {
				return fmt.Errorf(`%s lets not even the owner connect, write for example "0660"`, quoted(s))
			}
			c.Socket.Mode = fs.FileMode(n)
			return nil
		},
		show: func(c *Config) string { return fmt.Sprintf("%q", fmt.Sprintf("%04o", c.Socket.Mode.Perm())) },
	}
}

// qos is subscribe.qos.
func qos(name string) key {
	return key{
		name: name,
		set: func(c *Config, v value) error {
			n, err := whole(v)
			if err != nil {
				return err
			}
			if n != 0 && n != 1 {
				return fmt.Errorf("is %d, write 0 or 1: the cloud has no other", n)
			}
			last(c.Subscribe).QoS = byte(n)
			return nil
		},
		show: func(c *Config) string { return strconv.Itoa(int(last(c.Subscribe).QoS)) },
	}
}

// id is access.uid or access.gid: the number of what is named.
func id(name, what string, at func(*Access) **int) key {
	return key{
		name: name,
		set: func(c *Config, v value) error {
			n, err := whole(v)
			if err != nil {
				return err
			}
			if n < 0 || n > 1<<31-1 {
				return fmt.Errorf("is %d, write the number of a %s: 0 or more", n, what)
			}
			id := int(n)
			*at(last(c.Access)) = &id
			return nil
		},
		show: func(c *Config) string {
			if id := *at(last(c.Access)); id != nil {
				return strconv.Itoa(*id)
			}
			return ""
		},
	}
}

var (
	rateForm  = regexp.MustCompile(`^([0-9]{1,6})/(s|m|h)$`)
	shareForm = regexp.MustCompile(`^([0-9]{1,3})%$`)
)

// rateUnits are the seconds of a rate's unit, the shortest first.
var rateUnits = []struct {
	name    string
	seconds float64
}{{"s", 1}, {"m", 60}, {"h", 3600}}

// messageRate is access.rate: so many messages in a unit of time, "" for no bound.
func messageRate(name string) key {
	return key{
		name: name,
		set: func(c *Config, v value) error {
			s, err := plain(v)
			if err != nil {
				return err
			}
			m := rateForm.FindStringSubmatch(s)
			if s == "" {
				last(c.Access).Rate = 0
				return nil
			}
			if m == nil {
				return fmt.Errorf(`%s is no rate, write messages in a second, a minute or an hour: "10/s", "6/m", "100/h"`, quoted(s))
			}
			n, _ := strconv.Atoi(m[1])
			if n == 0 {
				return errors.New(`lets nothing through, write a rate of 1 or more, or delete it and write publish = []`)
			}
			for _, u := range rateUnits {
				if u.name == m[2] {
					last(c.Access).Rate = float64(n) / u.seconds
				}
			}
			return nil
		},
		show: func(c *Config) string {
			rate := last(c.Access).Rate
			if rate == 0 {
				return literal("")
			}
			for _, u := range rateUnits {
				if n := math.Round(rate * u.seconds); n >= 1 && n/u.seconds == rate {
					return literal(strconv.Itoa(int(n)) + "/" + u.name)
				}
			}
			return literal(strconv.Itoa(int(math.Round(rate*3600))) + "/h")
		},
	}
}

// share is access.share: a whole number of percent.
func share(name string) key {
	return key{
		name: name,
		set: func(c *Config, v value) error {
			s, err := plain(v)
			if err != nil {
				return err
			}
			m := shareForm.FindStringSubmatch(s)
			if m == nil {
				return fmt.Errorf(`%s is no share, write a percentage: "25%%"`, quoted(s))
			}
			n, _ := strconv.Atoi(m[1])
			if n < 1 || n > 100 {
				return fmt.Errorf(`is %d%%, write a share from "1%%" to "100%%"`, n)
			}
			last(c.Access).Share = n
			return nil
		},
		show: func(c *Config) string { return literal(strconv.Itoa(last(c.Access).Share) + "%") },
	}
}

// whole reads a TOML integer in any of its forms.
func whole(v value) (int64, error) {
	if v.kind == unstable.Integer {
		var doc struct{ V int64 }
		if toml.Unmarshal([]byte("V="+v.text), &doc) == nil {
			return doc.V, nil
		}
		return 0, fmt.Errorf("%s is no number that fits, write a smaller one", shorten(v.text))
	}
	if v.kind == unstable.String {
		if _, err := strconv.Atoi(strings.TrimSpace(v.text)); err == nil {
			return 0, fmt.Errorf("is text, write the number without quotes: %s", shorten(strings.TrimSpace(v.text)))
		}
	}
	return 0, fmt.Errorf("is %s, write a whole number", kindName(v))
}

// kindName says what a value is, for a message about its type.
func kindName(v value) string {
	switch v.kind {
	case unstable.String:
		return "text"
	case unstable.Integer, unstable.Float:
		return "a number"
	case unstable.Bool:
		return "true or false"
	case unstable.Array:
		return "a list"
	case unstable.InlineTable:
		return "a table"
	}
	return "a date or time"
}
