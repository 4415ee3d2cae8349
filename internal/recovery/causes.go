package recovery

// The causes, one row for each. A new one is a row here, and what the tests of
// internal/session then write of it into docs/recovery.md and docs/operations.md.
//
// The columns, of which none may be missing: the hint; the ladder, the pace, whether
// the module talks; the state in which it shows as a rule, the stage, what becomes of
// the connection, of an errand, what is watched for meanwhile, and what is not known any
// more; the documentation.
var (
	PortMissing = define("port-missing", row{
		"the serial device is not there: is the module powered and plugged in, and does modem.device name it?",
		ladder{ReopenRung},
		always(Brisk), Talks,
		Probing, AtPort, LinkGone, ErrandWaits, WatchNothing, LostModule,
		Doc{"the device in `modem.device` is not there", "`ls -l /dev/serial/by-path/`, `dmesg`", "plug, power, USB hub; a stable symlink. By itself: opens it as soon as it is back"},
	})
	PortDenied = define("port-denied", row{
		"the serial device is there, but the daemon's user may not open it: check its owner, group and mode, and DeviceAllow= of the unit",
		ladder{ReopenRung},
		always(Brisk), Talks,
		Probing, AtPort, LinkGone, ErrandWaits, WatchNothing, LostModule,
		Doc{"the device in `modem.device` is there, but may not be opened", "the hint says by what; `ls -lL`, `systemctl cat airbridged`", "its group or a udev rule; the sandbox: `systemctl restart airbridged`, or the drop-in `uart.conf`. By itself: opens it as soon as it may"},
	})
	PortBusy = define("port-busy", row{
		"another process holds the serial device: stop it (ModemManager and getty are the usual ones)",
		ladder{ReopenRung},
		always(Brisk), Talks,
		Probing, AtPort, LinkGone, ErrandWaits, WatchNothing, LostModule,
		Doc{"another process holds it", "the log names the process", "stop ModemManager or the getty for good"},
	})
	NoAnswer = define("no-answer", row{
		"the module does not answer AT: check its power, PWRKEY, the wiring of RX/TX and modem.baud",
		ladder{ReopenRung, ReopenRung, ReopenRung, ReopenRung, ResetRung},
		always(Brisk), Mute,
		Probing, AtModule, LinkGone, ErrandWaits, WatchNothing, LostNetwork,
		Doc{"the port is open, and `AT` gets no answer", "the module's lights, `modem.baud`, RX and TX", "power, PWRKEY, wiring. By itself: other speeds, then a reset"},
	})
	ModuleOff = define("module-off", row{
		"the module has switched itself off: check its power supply (peaks of 2 A), its temperature, and who uses its power key; it is started by that key or by modem.reset_command",
		ladder{ReopenRung, ReopenRung, ReopenRung, ReopenRung, ResetRung},
		always(Brisk), Mute,
		Online, AtModule, LinkGone, ErrandWaits, WatchNothing, LostModule,
		Doc{"the module said that it switches itself off, and does not answer", "the hint has the module's words", "UNDER-VOLTAGE: the supply; NORMAL: the power key or `AT+CPOWD`. By itself: a reset, which needs a reset line or `modem.reset_command` for a module that is off"},
	})
	OutOfSync = define("out-of-sync", row{
		"wait: the module answered too late or garbled, and is brought back in step; if that comes again and again, check the wiring and the line speed",
		ladder{ResyncRung, ResyncRung, ResetRung, ReopenRung},
		firstAtOnce, Mute,
		Online, AtModule, LinkKept, ErrandWaits, WatchNothing, LostNothing,
		Doc{"an answer came late, garbled or not at all", "`airbridgectl trace`", "by itself: gets back in step, then resets. Often: wiring, see [AirbridgedOutOfStep](#airbridgedoutofstep)"},
	})
	WriteBlocked = define("write-blocked", row{
		"the serial port takes no more bytes: a hung USB bridge, or flow control that is on; it is opened anew, and if that does not help the daemon restarts",
		ladder{ReopenRung, ReopenRung, ExitRung},
		always(BackOff), Talks,
		Online, AtPort, LinkGone, ErrandWaits, WatchNothing, LostNetwork,
		Doc{"the port takes no more bytes", "`dmesg` for the USB bridge", "by itself: opens it anew, then restarts the daemon. Flow control off; cut the bridge's power"},
	})
	FirmwareUnsupported = define("firmware-unsupported", row{
		"flash the module with an AT firmware that has TLS and MQTT (2G: a version with SSL or NOTTS in its name)",
		ladder{NoRung},
		always(Slow), Talks,
		Probing, AtModule, LinkGone, ErrandRefused, WatchNothing, LostNetwork,
		Doc{"the module's firmware has no TLS or no MQTT", "`airbridgectl status`: firmware", "flash one that has"},
	})
	IMEIUnreadable = define("imei-unreadable", row{
		"the module tells no usable IMEI, so this device has no name: set device.device_name, or have the IMEI written by who sold the module",
		ladder{NoRung},
		always(Slow), Talks,
		Probing, AtModule, LinkGone, ErrandRefused, WatchNothing, LostNetwork,
		Doc{"the module answers, and tells no IMEI to name the device by", "the hint says what it tells instead", "`device.device_name`, or the IMEI written by who sold the module"},
	})
	SIMMissing = define("sim-missing", row{
		"no usable SIM: is it inserted the right way round, unlocked (no PIN), and are the contacts clean?",
		ladder{NoRung, RadioRung},
		always(BackOff), Talks,
		Attaching, AtSIM, LinkGone, ErrandRefused, WatchSIM, LostSIM,
		Doc{"no usable SIM", "seat, contacts, PIN or PUK: the hint has the module's own words", "the card, without a PIN. By itself: radio off and on, unless the card is locked; a card that has worked gets a reset every hour"},
	})
	NotRegistered = define("not-registered", row{
		"the network has not taken the module in: check antenna, signal, coverage, and that the SIM is active",
		ladder{RadioRung, RadioRung, RadioRung, ResetRung},
		always(BackOff), Talks,
		Attaching, AtNetwork, LinkGone, ErrandRefused, WatchNetwork, LostNothing,
		Doc{"the network does not take the module in", "signal, operator", "antenna, coverage; is the SIM active? By itself: radio off and on, then a reset"},
	})
	NetworkDenied = define("network-denied", row{
		"the network refuses this SIM or this module: ask its operator whether the SIM is active and paid for, may be used in this network and with this module, and has packet data",
		ladder{NoRung, RadioRung},
		always(BackOff), Talks,
		Attaching, AtNetwork, LinkGone, ErrandRefused, WatchNetwork, LostNothing,
		Doc{"the network was found, and refuses the SIM or the module", "the hint has the network's words", "the SIM's operator: is it active, paid for, allowed here and in this module? By itself: radio off and on"},
	})
	BearerFailed = define("bearer-failed", row{
		"the data bearer does not open: check modem.apn with the SIM's operator, and that the SIM has data left",
		ladder{BearerRung, BearerRung, RadioRung, RadioRung, ResetRung},
		always(BackOff), Talks,
		Attaching, AtBearer, LinkGone, ErrandRefused, WatchNothing, LostNothing,
		Doc{"no data connection", "`modem.apn`, data left on the SIM", "the operator's APN. By itself: bearer, radio, reset"},
	})
	HTTPFailed = define("http-failed", row{
		"the module could not reach the authentication server: check signal, DNS, and cloud.region or the URL overrides",
		ladder{NoRung, BearerRung, BearerRung, RadioRung, ResetRung},
		always(BackOff), Talks,
		Authenticating, atRequest, LinkGone, ErrandRefused, WatchNothing, LostNothing,
		Doc{"the authentication server could not be reached", "signal, `cloud.region`", "by itself: bearer, radio, reset"},
	})
	RegistrationDisabled = define("registration-disabled", row{
		"switch dynamic registration on for this product in the cloud's console, or provision a device secret by hand",
		ladder{NoRung},
		always(Slow), Talks,
		Registering, AtIdentity, LinkGone, ErrandRefused, WatchNothing, LostNothing,
		Doc{"the product does not allow dynamic registration", "the product in the console", "switch it on, or provide a device secret"},
	})
	AlreadyActivated = define("already-activated", row{
		"the cloud has handed out this device's secret before: restore it from a backup, copy it from the console into device.device_secret_file, or delete the device in the console and add it again",
		ladder{NoRung},
		always(Slow), Talks,
		Registering, AtIdentity, LinkGone, ErrandRefused, WatchNothing, LostNothing,
		Doc{"the device's secret was handed out before", "is there a backup of the state directory?", "bring it back, or reset the device in the console, or `device_secret_file`"},
	})
	SignatureRefused = define("signature-refused", row{
		"the cloud refuses the signature of the registration: check device.product_key and the ProductSecret, which have to be of one product",
		ladder{NoRung},
		always(Slow), Talks,
		Registering, atRequest, LinkGone, ErrandRefused, WatchNothing, LostNothing,
		Doc{"the cloud refuses the signature of the registration", "product key and ProductSecret", "correct them, `airbridgectl reload`; beware of blanks"},
	})
	DeviceSecretRefused = define("device-secret-refused", row{
		"the cloud refuses the DeviceSecret: it is not, or not any more, the one that the console shows for this device",
		ladder{NoRung},
		always(Slow), Talks,
		Authenticating, AtLogin, LinkGone, ErrandRefused, WatchNothing, LostNothing,
		Doc{"the cloud refuses the DeviceSecret", "the hint says which one, and where it lies; the device in the console", "its secret from the console, or `airbridgectl reprovision --yes`"},
	})
	ProductUnknown = define("product-unknown", row{
		"the cloud does not know this product or device: check device.product_key, device.device_name, cloud.region and cloud.instance; the device must exist in the product",
		ladder{NoRung},
		always(Slow), Talks,
		Registering, atRequest, LinkGone, ErrandRefused, WatchNothing, LostNothing,
		Doc{"the cloud does not know product or device", "product key, device name, region, instance", "correct them"},
	})
	RequestRefused = define("request-refused", row{
		"the cloud refuses the request: see in the console whether the device is disabled or has another way to log in, and check product_key, device_name and the URL overrides",
		ladder{NoRung},
		always(Slow), Talks,
		Registering, atRequest, LinkGone, ErrandRefused, WatchNothing, LostNothing,
		Doc{"the cloud refuses the request's form", "the same, and URL overrides", "correct them"},
	})
	CloudError = define("cloud-error", row{
		"wait: the cloud reports an error of its own or asks to slow down, and it is tried again",
		ladder{NoRung},
		always(BackOff), Talks,
		Authenticating, atRequest, LinkGone, ErrandRefused, WatchNothing, LostNothing,
		Doc{"the cloud reports an error of its own", "its status page", "by itself: tries again, more and more slowly"},
	})
	ConnectFailed = define("connect-failed", row{
		"no connection to the MQTT server: check cloud.mqtt_host, cloud.mqtt_port, cloud.tls, product_key (upper and lower case matter) and the signal",
		ladder{SessionRung, SessionRung, BearerRung, BearerRung, RadioRung, ResetRung},
		always(BackOff), Talks,
		Connecting, AtMQTT, LinkGone, ErrandRefused, WatchNothing, LostNothing,
		Doc{"no connection to the MQTT server", "host, port, `cloud.tls`, signal", "by itself: session, bearer, radio, reset"},
	})
	ConnAckRefused = define("connack-refused", row{
		"the MQTT server refuses the login: check the device secret, cloud.auth, and whether the device is disabled in the console",
		ladder{NoRung},
		refusedLogin, Talks,
		Connecting, AtLogin, LinkShut, ErrandRefused, WatchNothing, LostNothing,
		Doc{"the MQTT server refuses the login", "device secret; is the device disabled?", "correct it. By itself: one fresh token"},
	})
	SubAckTimeout = define("suback-timeout", row{
		"the cloud did not acknowledge a subscription: check that the topic exists in the console with subscribe rights",
		ladder{SessionRung, SessionRung, BearerRung, RadioRung, ResetRung},
		always(BackOff), Talks,
		Connecting, AtMQTT, LinkKept, ErrandRefused, WatchNothing, LostNothing,
		Doc{"a subscription was not acknowledged", "does the topic exist, with subscribe rights?", "by itself: a new session"},
	})
	PubAckTimeout = define("puback-timeout", row{
		"wait: the cloud did not acknowledge a message in time, and it is sent again on a new session; if that goes on, check the signal",
		ladder{SessionRung, SessionRung, BearerRung, RadioRung, ResetRung},
		always(BackOff), Talks,
		Online, AtMQTT, LinkKept, ErrandRefused, WatchNothing, LostNothing,
		Doc{"a message was not acknowledged", "signal", "by itself: a new session, and the message again"},
	})
	DoubtfulAnswer = define("doubtful-answer", row{
		"wait: what the module answered to a message proves nothing, for it refused it, or bytes were lost on the line; the message is sent again on a new session",
		ladder{SessionRung, SessionRung, SessionRung, SessionRung, SessionRung, SessionRung, BearerRung, RadioRung, ResetRung},
		firstAtOnce, Talks,
		Online, AtMQTT, LinkKept, ErrandRefused, WatchNothing, LostNothing,
		Doc{"the module refused a message, or a damaged line stood beside its answer", "`airbridgectl trace`", "by itself: a new session, and the message again. Often: wiring, a line that is too fast"},
	})
	Closed = define("closed", row{
		"wait: the MQTT connection was closed, and is opened anew; at regular intervals it is a NAT on the way, and a shorter cloud.keepalive helps",
		ladder{SessionRung, SessionRung, SessionRung, BearerRung, BearerRung, RadioRung, ResetRung},
		always(BackOff), Talks,
		Online, AtMQTT, LinkShut, ErrandRefused, WatchNothing, LostNothing,
		Doc{"the connection was closed", "regular intervals? Then a NAT", "by itself: a new session. A shorter `cloud.keepalive`"},
	})
	Kicked = define("kicked", row{
		"another client connects with the same product_key and device_name: find it, or give each its own name",
		ladder{NoRung},
		always(Slow), Talks,
		Online, AtMQTT, LinkShut, ErrandRefused, WatchNothing, LostNothing,
		Doc{"another client uses the same identity", "a cloned gateway, a test bench", "one name for each device"},
	})
	Throttled = define("throttled", row{
		"publish less: the cloud holds back acknowledgements, because the device sends more than its quota",
		ladder{SessionRung},
		always(BackOff), Talks,
		Online, AtMQTT, LinkKept, ErrandRefused, WatchNothing, LostNothing,
		Doc{"the cloud drops what comes too fast", "publishing rate", "publish less. By itself: slower, until it is through"},
	})
	Rebooted = define("rebooted", row{
		"check the power supply: the module restarted by itself, and peaks of 2 A are the usual reason",
		ladder{ReopenRung},
		brownOut, Talks,
		Online, AtModule, LinkGone, ErrandWaits, WatchNothing, LostNetwork,
		Doc{"the module restarted by itself", "power supply", "2 A at the module's pins. By itself: starts over"},
	})
	StateUnwritable = define("state-unwritable", row{
		"the state directory cannot be written or read, or what is in it is damaged: check state.dir, its owner, free space, a read-only file system and the disk",
		ladder{NoRung},
		always(BackOff), Talks,
		Registering, AtIdentity, LinkGone, ErrandNotNow, WatchNothing, LostNothing,
		Doc{"the state directory cannot be written or read, or the credentials in it are damaged", "the hint says which file; `df`, `mount`, owner, `dmesg`", "what the hint says. Nothing is registered before"},
	})
	DiskFull = define("disk-full", row{
		"free some space on the disks of state.dir and outbox.dir, or look at the kernel's log for errors: the disk is full or failing",
		ladder{NoRung},
		always(BackOff), Talks,
		Connecting, AtIdentity, LinkGone, ErrandNotNow, WatchNothing, LostNothing,
		Doc{"the disk is full or fails", "`df`, `dmesg`", "room, or another disk"},
	})
)
