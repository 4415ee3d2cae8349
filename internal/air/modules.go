package air

// Largest payloads, in bytes. Whether the vendor counts escaped or decoded bytes
// is not said anywhere, so the longer, escaped form is measured.
const (
	// mostPayload is the bound of modem.max_payload: no module is known to take it.
	mostPayload = 8192
	// bestPayload is the largest that any vendor document gives a module; larger ones
	// are not tried by themselves.
	bestPayload = 5120
	// floorPayload is the smallest number in any vendor document (FAQ, MQTT), and is
	// assumed where none gives one.
	floorPayload = 1360
)

// Source says how much is behind a row of the table.
type Source string

// The sources, best first.
const (
	Dump     Source = "dump"     // bytes of a real module, in a vendor's or a user's log
	Document Source = "document" // a manual or a change log of the vendor
	Assumed  Source = "assumed"  // nobody says so
)

// Module is one row of the table of modules: firmware that is told apart by its name,
// and what it can carry. docs/modules.md is made of it.
type Module struct {
	Name     string   // of the models, as people write them
	Models   []string // how [Identity.Model] begins; nil: any
	From, To int      // the versions, both included; 0: open
	Baseband string

	Payload  int      // bytes on the wire
	Limit    Source   // of Payload
	Carries  string   // by which commands a payload can go
	APN      string   // by which command the APN of MQTT is set; empty: by none
	Firmware []string // names that were seen
	Seen     Source   // of the names
	Facts    string   // where the facts are from
}

// How payloads go. MPUBEX and MQTTMODE are asked for, whatever the name says.
const (
	carriesAll = "MPUB, MPUBEX, MQTTMODE"
	carries2G  = "MPUB"
)

const apnOfDefault = "CPNETAPN"

// modules is the table; the first row that fits counts.
var modules = []Module{
	{
		Name: "Air202, Air208, Air800", Models: []string{model2G}, Baseband: "RDA8955", Payload: floorPayload, Limit: Assumed, Carries: carries2G,
		Firmware: []string{"AirM2M_V5664_AT_S_SSL", "AirM2M_V5595_AT_S_NOTTS"}, Seen: Document,
		Facts: "vendor quick guide; 1360 is what the FAQ gives for receiving. Names with neither SSL nor NOTTS have no TLS and are refused",
	},
	{
		Name: "Air780EL", Models: []string{"Air780EL"}, Baseband: "EC716S", Payload: 4100, Limit: Document, Carries: carriesAll, APN: apnOfDefault,
		Firmware: []string{"AirM2M_780EL_V1004_LTE_AT_MS"}, Seen: Document,
		Facts: "AT manual 1.6.3, whose title names EC716. Images _MU, _MULP, _MULP2, _MF have no TLS and _FS, _FU no MQTT: refused",
	},
	{
		Name: "Air700ECQ, Air700EAQ, Air700EMQ, Air780EQ", Models: []string{"Air700E", "Air780EQ"}, From: 2015, Baseband: "EC716, EC718", Payload: 5120, Limit: Document,
		Carries: carriesAll, APN: apnOfDefault,
		Firmware: []string{"AirM2M_700EAQ_V2015_LTE_AT", "AirM2M_700EQ_LTE_AT_V2015"}, Seen: Document,
		Facts: "vendor's change logs of 2024-10-12: MPUB and MPUBEX take 5120",
	},
	{
		Name: "Air700ECQ, Air700EAQ, Air700EMQ, Air780EQ", Models: []string{"Air700E", "Air780EQ"}, Baseband: "EC716, EC718", Payload: 4100, Limit: Document,
		Carries: carriesAll, APN: apnOfDefault,
		Firmware: []string{"AirM2M_700EAQ_V2014_LTE_AT"}, Seen: Assumed,
		Facts: "the same change logs: 4100 before",
	},
	{
		Name: "Air780E, EG, EX, EU, EEU, EP, EPV, EPM", Models: []string{"Air780E"}, Baseband: "EC618, EC718", Payload: 4100, Limit: Document, Carries: carriesAll, APN: apnOfDefault,
		Firmware: []string{
			"AirM2M_780E_V1161_LTE_AT", "AirM2M_780EX_V1174_LTE_LSAT", "AirM2M_780E_V1149_LTE_LPAT", "AirM2M_780EG_V1174_LTE_AT",
			"AirM2M_780EP_V1007_LTE_AT", "AirM2M_780EPV_V1011_LTE_AT", "AirM2M_780EPM_V2007_LTE_AT",
		}, Seen: Dump,
		Facts: "AT manual since 1.2.6, MPUB and MPUBEX; names from logs of users and of the vendor",
	},
	{
		Name: "Air720U, 722U, 724U, 795U, 820U", Models: uis8910, From: 301826, Baseband: "UIS8910", Payload: 2348, Limit: Document, Carries: carriesAll,
		Firmware: []string{"AirM2M_Air724UG_V401853_LTE_AT", "AirM2M_720U_V401881_LTE_AT", "AirM2M_Air795UG_V401881_LTE_AT"}, Seen: Dump,
		Facts: "change log of the Air724UG, whose image the 795UG and 820UG share; its name in a byte dump. V301846 echoes what MPUBEX is given, so it is not used there",
	},
	{
		Name: "Air720U, 722U, 724U", Models: uis8910, From: 838, To: 1628, Baseband: "UIS8910", Payload: 2384, Limit: Document, Carries: carriesAll,
		Firmware: []string{"AirM2M_720U_V838_LTE_AT", "AirM2M_720U_V907_LTE_AT", "AirM2M_720U_V1628_LTE_AT"}, Seen: Document,
		Facts: "change log of the 720U, entry V838",
	},
	{
		Name: "any other", Payload: floorPayload, Limit: Assumed, Carries: carriesAll, APN: apnOfDefault,
		Firmware: []string{"AirM2M_Air724UG_V409_LTE_AT", "AirM2M_720_V296_LTE_AT_NAND"}, Seen: Document,
		Facts: "no document gives a limit; MQTT and TLS are asked for by AT+MCONFIG=? and AT+SSLMIPSTART=?",
	},
}

// uis8910 are the modules on the UIS8910, with all their letters.
var uis8910 = []string{"Air720U", "Air722U", "Air724U", "Air795U", "Air820U"}

// moduleOf finds the row of a firmware.
func moduleOf(firmware string) Module {
	model, version := modelOf(firmware), versionOf(firmware)
	for _, m := range modules {
		if m.fits(model, version) {
			return m
		}
	}
	panic("the last row of the table fits all")
}

func (m Module) fits(model string, version int) bool {
	switch {
	case m.Models != nil && !hasAnyPrefix(model, m.Models...):
		return false
	case m.From > 0 && version < m.From:
		return false
	}
	return m.To == 0 || version <= m.To
}
