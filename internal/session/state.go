package session

// State is where the procedure stands. What is known of the module and the
// cloud is kept apart from it, in bus.Status.
type State string

// The states, in the order in which a start goes through them.
const (
	Probing        State = "probing"        // open the port, train the baud rate, identify
	Attaching      State = "attaching"      // SIM, signal, attach, bearer
	Registering    State = "registering"    // dynamic registration; only without a stored DeviceSecret
	Authenticating State = "authenticating" // HTTPS authentication; only in that mode, only without a usable token
	Connecting     State = "connecting"     // MCONFIG, SSLMIPSTART, MCONNECT, MSUB
	Online         State = "online"         // messages move
	Recovering     State = "recovering"     // a rung of the ladder, then a wait
	Stopping       State = "stopping"       // asked to stop: leave in good order
)

// States lists every state, for closed sets of labels.
func States() []State {
	return []State{Probing, Attaching, Registering, Authenticating, Connecting, Online, Recovering, Stopping}
}

// Cause says in one word why the session is not online. It is a closed set that
// programs may switch on; the words of a Hint may change.
type Cause string

// The causes. None is the empty word that stands while all is well.
const (
	None                 Cause = ""
	PortMissing          Cause = "port-missing"
	PortBusy             Cause = "port-busy"
	NoAnswer             Cause = "no-answer"
	OutOfSync            Cause = "out-of-sync"
	FirmwareUnsupported  Cause = "firmware-unsupported"
	SIMMissing           Cause = "sim-missing"
	NotRegistered        Cause = "not-registered"
	BearerFailed         Cause = "bearer-failed"
	HTTPFailed           Cause = "http-failed"
	RegistrationDisabled Cause = "registration-disabled"
	AlreadyActivated     Cause = "already-activated"
	SignatureRefused     Cause = "signature-refused"
	ProductUnknown       Cause = "product-unknown"
	RequestRefused       Cause = "request-refused"
	CloudError           Cause = "cloud-error"
	ConnectFailed        Cause = "connect-failed"
	ConnAckRefused       Cause = "connack-refused"
	SubAckTimeout        Cause = "suback-timeout"
	PubAckTimeout        Cause = "puback-timeout"
	Closed               Cause = "closed"
	Kicked               Cause = "kicked"
	Throttled            Cause = "throttled"
	Rebooted             Cause = "rebooted"
	WriteBlocked         Cause = "write-blocked"
	StateUnwritable      Cause = "state-unwritable"
	DiskFull             Cause = "disk-full"
)

// hints say what to do about a cause, for somebody who was woken by it.
var hints = map[Cause]string{
	PortMissing:          "the serial device is not there: is the module powered and plugged in, and does modem.device name it?",
	PortBusy:             "another process holds the serial device: stop it (ModemManager and getty are the usual ones)",
	NoAnswer:             "the module does not answer AT: check its power, PWRKEY, the wiring of RX/TX and modem.baud",
	OutOfSync:            "the module answered too late or garbled; it is being brought back in step",
	FirmwareUnsupported:  "flash the module with an AT firmware that has TLS and MQTT (2G: a version with SSL or NOTTS in its name)",
	SIMMissing:           "no usable SIM: is it inserted the right way round, unlocked (no PIN), and are the contacts clean?",
	NotRegistered:        "the network has not taken the module in: check antenna, signal, coverage, and that the SIM is active",
	BearerFailed:         "the data bearer does not open: check modem.apn with the SIM's operator, and that the SIM has data left",
	HTTPFailed:           "the module could not reach the authentication server: check signal, DNS, and cloud.region or the URL overrides",
	RegistrationDisabled: "switch dynamic registration on for this product in the cloud's console, or provision a device secret by hand",
	AlreadyActivated:     "the cloud has handed out this device's secret before: reset the device in the console, or provide device.device_secret_file",
	SignatureRefused:     "the cloud refuses the signature: check product_key and the product secret (or the device secret) for typing and stray blanks",
	ProductUnknown:       "the cloud does not know this product or device: check product_key, device_name, region and instance",
	RequestRefused:       "the cloud refuses the form of the request: check product_key, device_name and the URL overrides",
	CloudError:           "the cloud reports an error of its own or asks to slow down; trying again later",
	ConnectFailed:        "no connection to the MQTT server: check cloud.mqtt_host, cloud.mqtt_port, cloud.tls, product_key (upper and lower case matter) and the signal",
	ConnAckRefused:       "the MQTT server refuses the login: check the device secret, cloud.auth, and whether the device is disabled in the console",
	SubAckTimeout:        "the cloud did not acknowledge a subscription: check that the topic exists in the console with subscribe rights",
	PubAckTimeout:        "the cloud did not acknowledge a message in time; it will be sent again on a new session",
	Closed:               "the MQTT connection was closed; connecting anew",
	Kicked:               "another client connects with the same product_key and device_name: find it, or give each its own name",
	Throttled:            "the cloud holds back acknowledgements: the device sends more than its quota",
	Rebooted:             "the module restarted by itself: its power supply is the usual reason (peaks of 2 A)",
	WriteBlocked:         "the serial port takes no more bytes: a hung USB bridge, or flow control that is on; it is opened anew, and if that does not help the daemon restarts",
	StateUnwritable:      "the state directory cannot be written: check state.dir, its owner, free space and a read-only file system",
	DiskFull:             "the disk is full or failing",
}

// Hint says in words what an operator can do about a cause.
func (c Cause) Hint() string { return hints[c] }

// Causes lists every cause but None, for closed sets of labels.
func Causes() []Cause {
	return []Cause{
		PortMissing, PortBusy, NoAnswer, OutOfSync, FirmwareUnsupported, SIMMissing, NotRegistered, BearerFailed, HTTPFailed,
		RegistrationDisabled, AlreadyActivated, SignatureRefused, ProductUnknown, RequestRefused, CloudError, ConnectFailed,
		ConnAckRefused, SubAckTimeout, PubAckTimeout, Closed, Kicked, Throttled, Rebooted, WriteBlocked, StateUnwritable, DiskFull,
	}
}
