package config

import "reflect"

// Changed lists the dotted keys in which two configurations differ, in the order
// of Dump. The tables [[subscribe]], [[batch]], [[on_connect]] and [[access]] are each one entry,
// without a key. A secret that differs is listed by the key of its file, wherever it came
// from.
func Changed(a, b Config) []string {
	tables := map[string]bool{
		"subscribe":  !reflect.DeepEqual(a.Subscribe, b.Subscribe),
		"batch":      !reflect.DeepEqual(a.Batch, b.Batch),
		"on_connect": !reflect.DeepEqual(a.OnConnect, b.OnConnect),
		"access":     !reflect.DeepEqual(a.Access, b.Access),
	}
	secrets := map[string]bool{
		"modem.apn":                  a.Modem.APNGiven != b.Modem.APNGiven, // the module is told it, or is not any more
		"modem.apn_password_file":    a.Modem.APNPassword != b.Modem.APNPassword,
		"device.product_secret_file": a.Device.ProductSecret != b.Device.ProductSecret,
		"device.device_secret_file":  a.Device.DeviceSecret != b.Device.DeviceSecret,
	}
	var list []string
	for _, k := range keys {
		section := sectionOf(k.name)
		switch {
		case isElement(section):
			if tables[section] {
				list = append(list, section)
				tables[section] = false
			}
		case secrets[k.name] || k.show(&a) != k.show(&b):
			list = append(list, k.name)
		}
	}
	return list
}
