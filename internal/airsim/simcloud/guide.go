package simcloud

// Values of the vendor quick guide's example: the product, the device and the
// secrets that its byte counts and signatures were computed with. They are
// published, so they are the simulator's defaults.
const (
	GuideProductKey    = "b1KCi45LcCP"
	GuideProductSecret = "VWll9fiYWKiwraBk"
	GuideDeviceName    = "862991419835241"
	GuideDeviceSecret  = "mRMyB50qafv74A5FofvhxZ2h9iTL9wX7"
	GuideIotID         = "PbUqGh2URAj1AtNyyd7X00107ceb00"
	GuideIotToken      = "425656f625b64560a4bff2a0f16946a3"
)
