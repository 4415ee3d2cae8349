package config

import "strings"

// Dump returns the configuration in effect as TOML. Secrets are masked: what
// comes out loads again wherever the same secrets are at hand.
func (c Config) Dump() string {
	var b strings.Builder
	for _, section := range known {
		switch section {
		case "subscribe":
			for _, s := range c.Subscribe {
				dumpSection(&b, section, &Config{Subscribe: []Subscribe{s}})
			}
		case "batch":
			for _, r := range c.Batch {
				dumpSection(&b, section, &Config{Batch: []Batch{r}})
			}
		case "on_connect":
			for _, o := range c.OnConnect {
				dumpSection(&b, section, &Config{OnConnect: []OnConnect{o}})
			}
		case "access":
			for _, a := range c.Access {
				dumpSection(&b, section, &Config{Access: []Access{a}})
			}
		default:
			dumpSection(&b, section, &c)
		}
	}
	return b.String()
}

func dumpSection(b *strings.Builder, section string, c *Config) {
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(header(section) + "\n")
	for _, k := range keys {
		if sectionOf(k.name) != section {
			continue
		}
		shown := k.show(c)
		if unset := shown == "" || shown == `""` || shown == "[]"; unset && isElement(section) {
			continue
		}
		b.WriteString(lastPart(k.name) + " = " + shown + "\n")
	}
	if section == "modem" && c.Modem.APNUser != "" {
		dumpSecret(b, "APN", c.Modem.APNPassword.Empty(), c.Modem.APNPasswordFrom)
	}
	if section == "device" {
		dumpSecret(b, "product", c.Device.ProductSecret.Empty(), c.Device.ProductFrom)
		dumpSecret(b, "device", c.Device.DeviceSecret.Empty(), c.Device.DeviceFrom)
	}
}

// dumpSecret tells where a secret came from, as a comment.
func dumpSecret(b *strings.Builder, which string, none bool, from string) {
	switch {
	case none:
		b.WriteString("# " + which + " secret: none\n")
	case from == "":
		b.WriteString("# " + which + " secret: [secret]\n")
	default:
		b.WriteString("# " + which + " secret: [secret], from " + from + "\n")
	}
}
