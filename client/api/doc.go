// Package api is what goes over the daemon's socket: the JSON of every answer,
// of every line of a stream and of every refusal, and the words in them. The
// daemon fills these types and package client reads them.
//
// It does nothing: there is no code here but what says how a type reads as
// text. A nil pointer is null: a value that is not known.
package api
