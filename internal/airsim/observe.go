package airsim

// What a [Happening] is about.
const (
	CloudReceived   = "received"   // a message was accepted
	CloudConnected  = "connected"  // an MQTT login was accepted
	CloudRefused    = "refused"    // one was refused
	CloudRegistered = "registered" // a DeviceSecret was handed out
	CloudIssued     = "issued"     // a token was handed out
)

// Happening is one thing that the cloud did, told by CloudOptions.Observe.
type Happening struct {
	Kind    string
	Message Received // of CloudReceived
	Secret  string   // of CloudRegistered and CloudIssued
}

// happened tells the observer, if there is one; under the cloud's lock.
func (c *Cloud) happened(h Happening) {
	if c.o.Observe != nil {
		c.o.Observe(h)
	}
}
