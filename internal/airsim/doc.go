// Package airsim is a simulated Air module and the simulated cloud behind it:
// what an integrator runs in CI instead of hardware, a SIM card and an account.
//
// It owns everything from the UART pins outwards: the line discipline, the AT
// command set of several firmware families, the radio and the bearer, HTTPS
// and MQTT as the module does them, the cloud's registration, authentication,
// sessions, topics and quotas, and a language in which misbehaviour of any of
// these is ordered, by script or while it runs.
//
// It promises to be as strict as hardware (quotes, lengths, prompts, states and
// time-outs matter), to answer in the vendor's byte-exact forms, to be
// deterministic for a seed, and to tell afterwards everything that passed: the
// dialogue on the wire, and what the cloud received. Time is package time only,
// so a whole virtual day runs in a testing/synctest bubble.
//
// It never opens a network connection except to the broker it is told to relay
// to, never speaks real TLS, and shares no code with the program it is used to
// test.
package airsim
