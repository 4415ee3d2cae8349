// Package datause owns the account of the data connection: what the session says
// it used on the air, by cause and by program, for the month that the SIM's
// contract counts, over restarts; and the budget for it.
//
// It promises:
//
//   - The account outlives the process, and is written to flash at most every 15
//     minutes, when a warning is given, and on stop: a crash forgets 15 minutes.
//   - No step of the clock resets it. While the clock says a time before 2026, as
//     gateways without a battery do after power-on, the month stays the one it
//     was. A clock that jumps and comes back finds the month as it left it.
//   - 80 % and 100 % of the budget are told once a month each. At 100 % Hold is
//     called, and again when the next month begins; so it is at a start.
//   - What it keeps is bounded: 30 programs by name, and "others".
//
// It never sees topics or payloads, and never drops or refuses anything: holding
// back is all that a budget may do, for accepted means kept.
package datause
