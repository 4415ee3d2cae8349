package session_test

// The words of docs/recovery.md around its tables.

const pageHead = `# Recovery

What can go wrong between a local program and the cloud, how the daemon notices, what it does, and how long that takes.
Everything in the tables is written by the tests of ` + "`internal/session`" + `: the policy is asked for its decisions, and each
wedge is brought about in the simulator, to the production session, on four kinds of module. Where this page and the
code disagree, the tests fail.

## In short

`

const pageLadders = `
**Noticed** counts from the blow until the session leaves ` + "`online`" + ` with a cause. **Acknowledged again** counts from the end
of the fault, or from the blow where that is all there is to it, until a QoS 1 message is acknowledged: noticing, rungs,
waits, the module's boot, the login and the subscriptions are all in it. A step on the way up that fails is noticed when
its own deadline in ` + "`[cloud.timeouts]`" + ` is over, up to 130 s for a request over HTTPS: nobody takes such a session for
online meanwhile, so these are not among the lost ones. In the second line of the table the boot is
taken off again (14 s at most on 2G, 7.5 s on Air724, 4.5 s on Air780E and EP), as no software makes it shorter.

Every run also holds the promises: nothing accepted is lost, nothing is called acknowledged that the cloud has not got,
duplicates are no more than the publishes of unknown outcome, one registration, at most 5 logins in any minute, no more
resets than are told above, and the subscriptions are back.

## What is done

After a failure the daemon climbs one **rung**, waits at a **pace**, and goes on with the first state whose work the rung
undid. Each rung tears down what the ones before it left behind.

| rung | what it does |
| --- | --- |
| none | nothing: only wait, and try again |
| resync | wait until the module is quiet, then ` + "`AT`" + ` until one ` + "`OK`" + ` answers it |
| session | end the MQTT session: ` + "`MDISCONNECT`, `MIPCLOSE`" + `; so does every login that follows |
| bearer | the same, then ` + "`SAPBR=0,1`, `CIPSHUT`" + ` |
| radio | the same, then ` + "`CFUN=0`" + `, 5 s, ` + "`CFUN=1`" + ` |
| reset | ` + "`AT+RESET`" + `; if the module does not listen, ` + "`modem.reset_gpio` or `modem.reset_command`" + ` |
| reopen | close the port and open it again, by its path |
| exit | end the process, for systemd to start it anew |

| pace | wait |
| --- | --- |
| at once | none: a first try that costs the cloud nothing |
| brisk | 2 to 5 s, drawn at random: what costs neither radio nor cloud |
| back-off | from ` + "`backoff_min`" + ` (2 s) to a cap that doubles with every such wait up to ` + "`backoff_max`" + ` (5 min), drawn at random |
| slow | half to all of ` + "`backoff_max`" + `, drawn at random: only a person can end it |

While a SIM or a network is missing, the module is asked every 5 s whether it has come, and the wait ends early.

What follows is what the policy decides on the first, second, third failure of one cause in a row; what stands last
repeats. It is asked for a session that has worked, with hard resets left in the hour. Before a session has ever worked,
a ladder stops below the reset, for what fails then is more often a typing error than a wedge (` + "`no-answer` and `out-of-sync`" + `
apart: a module that does not talk is no matter of configuration). With no reset left the rung is radio for a module
that talks, and reopen for one that does not; one that is out of reach for 6 hours ends the process. After resets in vain
- one of a module that talks, an hour's budget of a mute one - they are an hour apart, over restarts of the daemon too.

`

const pageCatalogue = `
A login that is refused with a cached token is another case: the token is dropped, one new one is fetched and tried, at
once. So is a network that is lost by a session that was online: attaching gives it two minutes to come back by itself.

## The catalogue

Two times are the median and the longest over the runs, rounded up. An empty "noticed after" is a
wedge that the session rides out: it stays online, and the time is until the message that was in hand is acknowledged.
For a step on the way up it is how long the step took. Some wedges go on until somebody else ends them; their times count
from then, and the back-off decides.
`

const pageFleet = `
## A fleet

10,000 gateways lose the cloud in the same second, and then it is back. Each is the daemon's own counting, decisions,
waits and limit on logins, with its own random numbers; what is counted is the logins that reach the cloud in one second.
No second may hold more than 1 % of them, wherever the outage was long enough for the waits to spread, which takes about
four minutes. A district that gets its power back would log in within a few seconds: with ` + "`recovery.start_spread`" + `, which
is off unless it is set, and 150 s here, a device on a machine that was just switched on waits for a random moment.

| what happens | busiest second | half is back after | all are back after |
| --- | --- | --- | --- |
`

const pageTail = `
The last three are told for honesty: a first failure waits 2 to 4 s, because it is nearly always one gateway's own, and
10,000 that are thrown out and let in again within seconds come back within seconds.
`
