package recovery

import "slices"

// Cause says in one word why the session is not online. It is a closed set that
// programs may switch on; the words of a hint may change.
type Cause string

// None is the empty word that stands while all is well.
const None Cause = ""

// row is all that is known of a cause. Its literals have no field names, so that one
// with a column missing does not compile.
type row struct {
	hint   string // what an operator who was woken by it can do
	ladder ladder
	pace   pacing
	speech Speech
	usual  State // where it shows as a rule; Connecting for what can show anywhere
	stage  Stage
	link   Link
	errand Errand
	watch  Watch
	lost   Lost
	doc    Doc
}

var (
	rows   = make(map[Cause]row)
	causes []Cause // in the order of the rows
)

// define puts a row into the table.
func define(word Cause, r row) Cause {
	rows[word] = r
	causes = append(causes, word)
	return word
}

// Causes lists every cause but None, in the order of their rows.
func Causes() []Cause { return slices.Clone(causes) }

// Hint says in words what an operator can do about a cause.
func (c Cause) Hint() string { return rows[c].hint }

// Speech says whether a cause means that the module does not talk, which is never a
// matter of configuration.
type Speech int

// Whether the module talks.
const (
	Talks Speech = iota
	Mute
)

// Mute says whether a cause means that the module does not talk.
func (c Cause) Mute() bool { return rows[c].speech == Mute }

// Usual is the state in which a cause shows as a rule.
func (c Cause) Usual() State { return rows[c].usual }

// Stage is what has to work, on the way from the port to the cloud, and does not.
// The words are those of airbridgectl doctor.
type Stage string

// The stages, in the order of a start.
const (
	AtPort     Stage = "serial port"
	AtModule   Stage = "module"
	AtSIM      Stage = "SIM"
	AtNetwork  Stage = "network"
	AtBearer   Stage = "data connection"
	AtIdentity Stage = "identity"
	AtLogin    Stage = "login"
	AtMQTT     Stage = "MQTT"

	atRequest Stage = "" // AtIdentity or AtLogin, by what the cloud was asked
)

// Stages lists the stages in the order of a start.
func Stages() []Stage {
	return []Stage{AtPort, AtModule, AtSIM, AtNetwork, AtBearer, AtIdentity, AtLogin, AtMQTT}
}

// Stage is the stage at which a cause arises. What the cloud refuses depends on what
// it was asked, which is known by the state that failed; where that is not known it is
// taken to be the login. A cause that is not of this set, of a newer daemon perhaps, is
// about MQTT, and None about no stage.
func (c Cause) Stage(failed State) Stage {
	r, known := rows[c]
	switch {
	case c == None:
		return ""
	case !known:
		return AtMQTT
	case r.stage != atRequest:
		return r.stage
	case failed == Registering:
		return AtIdentity
	}
	return AtLogin
}

// Link is what a cause says of the connection to the cloud.
type Link int

// What became of the connection.
const (
	LinkGone Link = iota // gone without a word, or there was none
	LinkShut             // the server closed it
	LinkKept             // it may still be there
)

// Link is what a cause says of the connection to the cloud.
func (c Cause) Link() Link { return rows[c].link }

// Errand is what becomes of something that a person asked for, such as a
// registration, when a cause comes in between.
type Errand int

// What becomes of an errand.
const (
	ErrandWaits   Errand = iota // the module is brought back first
	ErrandRefused               // it is over: the cloud, the network or the module says no
	ErrandNotNow                // it is over: this machine has to be put right first
)

// Errand is what becomes of something that a person asked for.
func (c Cause) Errand() Errand { return rows[c].errand }

// Watch is what the module is asked for, again and again, while a cause lasts: where
// it has come, nothing has to be waited for any longer.
type Watch int

// What is watched for.
const (
	WatchNothing Watch = iota
	WatchSIM
	WatchNetwork
)

// Watch is what the module is asked for while a cause lasts.
func (c Cause) Watch() Watch { return rows[c].watch }

// Lost is what the module has told and what is not known any more once a cause has come
// up, because it told of something that is gone. Each includes those before it.
type Lost int

// What is lost.
const (
	LostNothing Lost = iota
	LostNetwork      // registration, operator, signal
	LostSIM          // and the number of the SIM
	LostModule       // and what the module is
)

// Lost is what is not known any more once a cause has come up.
func (c Cause) Lost() Lost { return rows[c].lost }

// Doc is a cause's line in the handbook, in Markdown.
type Doc struct{ Meaning, FirstLook, Cure string }

// Doc is a cause's line in the handbook.
func (c Cause) Doc() Doc { return rows[c].doc }
