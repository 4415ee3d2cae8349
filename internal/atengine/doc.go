// Package atengine turns a byte stream into AT commands and answers.
//
// It owns three things: the [Scanner], which cuts bytes into lines, raw blocks
// and prompts and does nothing else; the [Engine], which runs one command at a
// time over it and hands everything that is not an answer to the URC hook; and
// the log of kept URCs, in which the completion of a command is awaited.
//
// It promises that no answer is ever handed to the wrong command: answer lines
// count only after the command was written whole, and a command that timed out
// or was cancelled after its first byte poisons the engine until [Engine.Resync]
// has found it back in step. It promises that no byte of a payload is sent
// before the module asked for it, and that no argument can become a command.
//
// It knows no vendor word: which lines belong to a command, which words end it,
// what a raw block looks like and what a restart looks like are told to it. It
// never opens or closes the port, and never logs an argument or an answer.
package atengine
