package wiring

import (
	"reflect"
	"testing"
	"time"

	"airbridged/internal/config"
	"airbridged/internal/secret"
)

// A key that is read, checked and documented does nothing unless the session is handed
// it. With every key set, nothing of what the session takes of a configuration is empty.
func TestNothingOfAConfigurationIsLeftOut(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Device = config.Device{
		ProductKey: "b1KCi45LcCP", DeviceName: "gateway-1",
		ProductSecret: secret.New("a product's secret"), DeviceSecret: secret.New("a device's secret"),
		ProductFrom: "file /one", DeviceFrom: "file /other",
	}
	cfg.Modem.Baud, cfg.Modem.WorkBaud, cfg.Modem.APN = 115200, 921600, "iot"
	cfg.Modem.APNUser, cfg.Modem.APNPassword, cfg.Modem.APNGiven = "meter", secret.New("a network's secret"), true
	cfg.Recovery.StartSpread = time.Minute
	cfg.Subscribe = []config.Subscribe{{Topic: "/${productKey}/${deviceName}/get", QoS: 1, Keep: true, Latest: true}}
	cfg.OnConnect = []config.OnConnect{{Topic: "/a", Payload: []byte("x"), WaitFor: "/a_reply", Wait: time.Second}}
	o := Session(cfg)
	for _, part := range []any{o.OnConnect[0], o.Device, o.Cloud, o.Modem, o.Recovery, o.Subscribe[0]} {
		v := reflect.ValueOf(part)
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("%s.%s is empty", v.Type(), v.Type().Field(i).Name)
			}
		}
	}
	if got := o.Expand(o.Subscribe[0].Topic, "K", "N"); got != "/K/N/get" {
		t.Errorf("the names are not put into a filter: %s", got)
	}
}
