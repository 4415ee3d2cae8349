package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"airbridged/client"
	"airbridged/internal/topic"
)

var topicCommand = command{
	name:    "topic",
	args:    "NAME",
	summary: "print a topic of this device",
	help: `Prints the topic with the names of the device behind the daemon in it, so that
nobody has to copy them: the cloud acknowledges a message to another device's
topic, and drops it. "update" is /PRODUCT/DEVICE/update. The cloud's own are
thing/..., shadow/update, shadow/get, ntp/request and ota/inform. It is known
once the module was asked for its number (exit 75 before), unless device_name is
in the configuration.

examples:
  airbridgectl topic update
  airbridgectl pub "$(airbridgectl topic update)" '{"temperature":21.5}'
  airbridgectl sub "$(airbridgectl topic get)"
  airbridgectl topic thing/event/property/post
`,
	setup: func(*flag.FlagSet) func(*env, []string) error { return printTopic },
}

func printTopic(e *env, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usageError{"topic takes one name, as in topic update"}
	}
	_, s, err := askStatus(e.ctx, e.client)
	if err != nil {
		return err
	}
	if s.Identity.DeviceName == nil {
		return fmt.Errorf("%w: the device's name is its module's number (IMEI), and no module was asked for it yet; airbridgectl status tells what is in the way", client.ErrTryAgain)
	}
	own := topic.Own(strings.Trim(args[0], "/"), s.Identity.ProductKey, *s.Identity.DeviceName)
	if e.json {
		return e.printJSON(map[string]string{"topic": own})
	}
	_, err = fmt.Fprintln(e.stdout, printable(own))
	return err
}

// warnForeign tells of a topic that the cloud drops without a word.
func warnForeign(ctx context.Context, e *env, name string) {
	words := fmt.Sprintf("warning: %s does not carry this device's names: the cloud acknowledges it, and drops it without a word", printable(name))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	if s, err := e.client.Status(ctx); err == nil && s.Identity.DeviceName != nil {
		words += "; this device's own begin with " + topic.Own("", s.Identity.ProductKey, *s.Identity.DeviceName) + " (airbridgectl topic update)"
	}
	e.note("%s", words)
}
