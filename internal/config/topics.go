package config

import (
	"fmt"
	"regexp"
	"strings"

	"airbridged/internal/topic"
	"airbridged/internal/typo"
)

// Expand fills ${productKey} and ${deviceName} into a topic.
func Expand(s, productKey, deviceName string) string {
	return strings.NewReplacer("${productKey}", productKey, "${deviceName}", deviceName).Replace(s)
}

// variable finds ${...}, also one that is not closed.
var variable = regexp.MustCompile(`\$\{([^}]*)(\}?)`)

// variables refuses every ${...} that Expand does not know.
func variables(s string) error {
	for _, m := range variable.FindAllStringSubmatch(s, -1) {
		if m[2] == "" {
			return fmt.Errorf("%s is not closed, write ${productKey} or ${deviceName}", quoted(m[0]))
		}
		if m[1] == "productKey" || m[1] == "deviceName" {
			continue
		}
		if near := typo.Nearest(m[1], []string{"productKey", "deviceName"}); near != "" {
			return fmt.Errorf("unknown %s, did you mean ${%s}?", quoted(m[0]), near)
		}
		return fmt.Errorf("unknown %s, only ${productKey} and ${deviceName} expand", quoted(m[0]))
	}
	return nil
}

// filter checks an expanded topic filter.
func filter(s string) error {
	if err := argument(s); err != nil {
		return err
	}
	if err := topic.CheckFilter(s); err != nil {
		return fmt.Errorf("%s: %w", quoted(s), err)
	}
	return nil
}

// topic checks a topic filter before and after expansion. Where the device
// name is not known yet, an IMEI stands for it.
func (l *loader) topic(s string) error {
	if err := variables(s); err != nil {
		return err
	}
	return filter(Expand(s, l.cfg.Device.ProductKey, l.deviceName()))
}

// deviceName is the device's, or an IMEI in its place.
func (l *loader) deviceName() string {
	if name := l.cfg.Device.DeviceName; name != "" {
		return name
	}
	return "862991419835241"
}
