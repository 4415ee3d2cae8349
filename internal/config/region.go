package config

import (
	"regexp"
	"slices"
	"strings"

	"airbridged/internal/typo"
)

// regions are those where the platform is (Aliyun IoT, endpoints of the device side; tables
// of its SDKs). There may be more by now, so another one is a warning.
var regions = []string{
	"cn-shanghai", "cn-beijing", "cn-shenzhen", "ap-southeast-1", "ap-northeast-1", "us-west-1", "us-east-1", "eu-central-1",
}

// checkRegion warns of a region that nobody knows, where it is used at all.
func (l *loader) checkRegion() {
	c := &l.cfg.Cloud
	overridden := c.OverrideRegisterURL != "" && c.OverrideAuthURL != "" && (c.OverrideMQTTHost != "" || c.Instance != "")
	if overridden || l.bad["cloud.region"] || slices.Contains(regions, c.Region) {
		return
	}
	words := quoted(c.Region) + " is no region that is known here"
	if near := typo.Nearest(c.Region, regions); near != "" {
		words += ", did you mean " + near + "?"
	} else {
		words += "; known are " + strings.Join(regions, ", ")
	}
	l.warn(l.at("cloud.region"), "cloud.region", words)
}

// placeholder is what documents have in the place of a value.
var placeholder = regexp.MustCompile(`(?i)^(<.*>|\*+|x{3,}|change[_-]?me|(your|my|the)?[_-]?(product|device)[_-]?(key|name|secret)|your[_-].*)$`)

// isPlaceholder says whether a value was copied from a document as it stood there.
func isPlaceholder(s string) bool { return placeholder.MatchString(s) }
