package simcloud

// What a [Happening] is about.
const (
	MessageTaken = "received"   // a message was accepted
	Connected    = "connected"  // an MQTT login was accepted
	Refused      = "refused"    // one was refused
	SecretGiven  = "registered" // a DeviceSecret was handed out
	TokenGiven   = "issued"     // a token was handed out
)

// Happening is one thing that the cloud did, told by Options.Observe.
type Happening struct {
	Kind    string
	Message Received // of MessageTaken
	Secret  string   // of SecretGiven and TokenGiven
}

// happened tells the observer, if there is one; under the cloud's lock.
func (c *Cloud) happened(h Happening) {
	if c.o.Observe != nil {
		c.o.Observe(h)
	}
}
