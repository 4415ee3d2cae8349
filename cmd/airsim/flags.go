package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/airsim/simcloud"
)

// errDone says that the command line asked only for a text, which was printed.
var errDone = errors.New("done")

// controlVariable names the control socket for both sides.
const controlVariable = "AIRSIM_CONTROL"

// settings is the command line.
type settings struct {
	module  airsim.Options
	cloud   simcloud.Options
	link    string
	control string
	broker  string
	web     string
	log     bool
	script  airsim.Script
}

// devices collects --device NAME or NAME=SECRET.
type devices struct {
	names   []string
	secrets map[string]string
}

func (d *devices) String() string { return strings.Join(d.names, " ") }

func (d *devices) Set(s string) error {
	name, secret, given := strings.Cut(s, "=")
	if name == "" || given && secret == "" {
		return errors.New("it is NAME or NAME=SECRET")
	}
	d.names = append(d.names, name)
	if given {
		d.secrets[name] = secret
	}
	return nil
}

// unpackings collects --unpack TOPIC=WORD,WORD...
type unpackings []simcloud.Unpacking

func (u *unpackings) String() string { return "" }

func (u *unpackings) Set(s string) error {
	filter, words, _ := strings.Cut(s, "=")
	if filter == "" || words == "" {
		return errors.New("it is TOPIC=ENVELOPE, such as /+/+/update=ndjson,deflate,dictionary:FILE")
	}
	one := simcloud.Unpacking{Filter: filter}
	for word := range strings.SplitSeq(words, ",") {
		file, dictionary := strings.CutPrefix(word, "dictionary:")
		switch {
		case word == "json-array" || word == "ndjson" || word == "length-prefixed":
			one.Envelope = word
		case word == "none" || word == "deflate" || word == "gzip":
			one.Compress = word
		case word == "raw" || word == "base64":
			one.Base64 = word == "base64"
		case dictionary:
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			one.Dictionary = data
		default:
			return fmt.Errorf("%q is none of json-array, ndjson, length-prefixed; none, deflate, gzip; raw, base64; dictionary:FILE", word)
		}
	}
	if one.Envelope == "" {
		return errors.New("the envelope is missing: json-array, ndjson or length-prefixed")
	}
	*u = append(*u, one)
	return nil
}

const help = `airsim is a simulated Air module on a pseudo-terminal, with a simulated cloud
behind it. The first line on stdout is the terminal's path.

usage: airsim [options]
       airsim do [--control PATH] COMMAND...

examples:
  airsim --link /tmp/air0                      a 2G module as in the vendor's quick guide
  airsim --personality air780ep --latency --baud 115200 --log
                                               an LTE module as slow as a real one, its dialogue on stderr
  airsim --control /tmp/airsim.sock --script faults.txt
  airsim do --control /tmp/airsim.sock 'closed'
  airsim do --control /tmp/airsim.sock on '>AT+MPUB' skip=3 reboot
  airsim do --control /tmp/airsim.sock help    all that can be ordered
  curl --unix-socket /tmp/airsim.sock -d hello 'http://airsim/v1/push?topic=/b1KCi45LcCP/862991419835241/get'
  curl --unix-socket /tmp/airsim.sock 'http://airsim/v1/messages?follow=0'
  airsim --broker tcp://127.0.0.1:1883         mosquitto_sub sees what the device publishes

The simulated account is that of the vendor's quick guide unless told otherwise:
product b1KCi45LcCP, its published secret, any device. --log and the transcript
show the dialogue as it is, with the simulated secrets in it.

options:
`

// parseFlags reads the command line. errDone: a text was asked for and printed.
func parseFlags(args []string, stdout io.Writer) (settings, error) {
	s := settings{cloud: simcloud.GuideOptions()}
	d := devices{secrets: map[string]string{}}
	f := flag.NewFlagSet("airsim", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&s.module.Personality, "personality", "2g", "firmware family: "+strings.Join(airsim.Personalities(), ", "))
	f.StringVar(&s.link, "link", "", "make `PATH` a symbolic link to the terminal; replaced when it is one, removed at exit")
	f.IntVar(&s.module.Baud, "baud", 0, "pace the line at this many bits a second; 0 is as fast as possible")
	f.DurationVar(&s.module.RTT, "rtt", 0, "radio round trip to the cloud, such as 80ms")
	f.BoolVar(&s.module.Latency, "latency", false, "wait as long as in the vendor's logs, booting included")
	key := f.String("product-key", simcloud.GuideProductKey, "ProductKey of the simulated account")
	secret := f.String("product-secret", simcloud.GuideProductSecret, "its ProductSecret")
	f.Var(&d, "device", "pre-registered device `NAME` or NAME=SECRET; may be repeated; none: any name")
	f.StringVar(&s.module.IMEI, "imei", simcloud.GuideDeviceName, "what AT+CGSN answers")
	f.StringVar(&s.module.ICCID, "iccid", "", "what AT+CCID answers")
	f.StringVar(&s.module.Operator, "operator", "", "what AT+COPS? answers")
	f.StringVar(&s.module.APN, "apn", "", "the only access point that works; none: any")
	f.IntVar(&s.module.CSQ, "csq", 24, "signal, 0 to 31, 99 unknown")
	f.BoolVar(&s.module.NoSIM, "no-sim", false, "start without a SIM card")
	f.StringVar(&s.control, "control", os.Getenv(controlVariable), "serve the control API on the Unix socket `PATH` (default $"+controlVariable+")")
	script := f.String("script", "", "carry out the commands in `FILE`, one a line")
	f.StringVar(&s.broker, "broker", "", "relay to the MQTT broker at this `URL`, such as tcp://127.0.0.1:1883")
	f.StringVar(&s.web, "web", "", "serve a page with the line, the cloud and orders at this loopback `ADDRESS`, such as 127.0.0.1:0")
	f.Var((*unpackings)(&s.cloud.Unpack), "unpack", "show the readings in the messages of a topic: `TOPIC=ENVELOPE`[,COMPRESS][,base64][,dictionary:FILE]; may be repeated")
	f.Uint64Var(&s.module.Seed, "seed", 1, "decides everything random")
	f.DurationVar(&s.cloud.TokenLife, "token-life", 0, "how long an iotToken is valid (default 168h)")
	f.IntVar(&s.cloud.ConnectsPerMinute, "connects-per-minute", 5, "MQTT logins of a device that are taken in a minute; -1: no limit")
	f.IntVar(&s.cloud.Quota[1], "quota-qos1", 10, "QoS 1 messages of a device that are taken in any second; 0: no limit")
	f.IntVar(&s.cloud.Quota[0], "quota-qos0", 30, "QoS 0 messages of a device that are taken in any second; 0: no limit")
	f.BoolVar(&s.cloud.StrictRegistration, "strict-registration", false, "hand a DeviceSecret out once, ever, not until the device has connected")
	f.BoolVar(&s.log, "log", false, "print the dialogue with times on stderr")
	showVersion := f.Bool("version", false, "print the version")
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		printHelp(f, stdout)
		return s, errDone
	case err != nil:
		return s, inWords(err)
	case *showVersion:
		_, _ = fmt.Fprintf(stdout, "airsim %s (commit %s, %s)\n", version, commit, runtime.Version())
		return s, errDone
	case f.NArg() > 0:
		return s, fmt.Errorf("%q is not an option", f.Arg(0))
	}
	s.cloud.Seed = s.module.Seed
	s.account(*key, *secret, d)
	if err := s.check(*script); err != nil {
		return s, err
	}
	return s, nil
}

// inWords says of a value that package flag cannot read what belongs there.
func inWords(err error) error {
	words := err.Error()
	rest, parsing := strings.CutSuffix(words, ": parse error")
	value, name, isValue := strings.Cut(strings.TrimPrefix(rest, "invalid value "), " for flag -")
	if !parsing || !isValue {
		return errors.New(strings.Replace(words, ": -", ": --", 1))
	}
	want := "a whole number"
	switch name {
	case "rtt", "token-life":
		want = "a number with its unit, as in 80ms or 1h"
	case "seed":
		want = "a whole number from 0 on"
	}
	return fmt.Errorf("--%s %s: that is not %s", name, value, want)
}

// values names what an option takes, by its type, where its text has no name for it.
var values = map[string]string{"int": " N", "uint": " N", "string": " TEXT", "duration": " DURATION", "": ""}

func printHelp(f *flag.FlagSet, stdout io.Writer) {
	_, _ = io.WriteString(stdout, help)
	f.VisitAll(func(o *flag.Flag) {
		kind, text := flag.UnquoteUsage(o)
		value, known := values[kind]
		if !known {
			value = " " + kind
		}
		if unset := []string{"", "0", "0s", "false"}; !slices.Contains(unset, o.DefValue) && o.Name != "control" {
			text += " (default " + o.DefValue + ")"
		}
		_, _ = fmt.Fprintf(stdout, "  --%-23s %s\n", o.Name+value, text)
	})
}

// account makes the one product of the command line. The guide's device keeps
// the guide's secret unless it is given another.
func (s *settings) account(key, secret string, d devices) {
	if _, given := d.secrets[simcloud.GuideDeviceName]; !given && key == simcloud.GuideProductKey {
		d.secrets[simcloud.GuideDeviceName] = simcloud.GuideDeviceSecret
	}
	s.cloud.Products = map[string]simcloud.Product{key: {Secret: secret, Devices: d.names, DeviceSecrets: d.secrets}}
}

// check finds the mistakes that the flag package does not.
func (s *settings) check(script string) error {
	if !slices.Contains(airsim.Personalities(), s.module.Personality) {
		return fmt.Errorf("no personality %q; there are %s", s.module.Personality, strings.Join(airsim.Personalities(), ", "))
	}
	if s.module.CSQ < 0 || s.module.CSQ > 31 && s.module.CSQ != 99 {
		return errors.New("--csq is 0 to 31, or 99")
	}
	if s.web != "" {
		if err := loopback(s.web); err != nil {
			return err
		}
	}
	if s.module.RTT < 0 || s.module.RTT > time.Hour {
		return errors.New("--rtt is at least 0 and at most 1h")
	}
	// What New would refuse is a mistake on the command line too.
	if _, err := airsim.New(simcloud.New(s.cloud), s.module); err != nil {
		return err
	}
	if script == "" {
		return nil
	}
	file, err := os.Open(script)
	if err != nil {
		return fmt.Errorf("--script: %w", err)
	}
	defer func() { _ = file.Close() }()
	if s.script, err = airsim.ParseScript(file); err != nil {
		return fmt.Errorf("--script %s:\n%w", script, err)
	}
	return nil
}
