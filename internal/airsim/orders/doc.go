// Package orders is the language in which the simulator is told to misbehave. A word
// declares its arguments once; its usage, its line of help and its parser are made of
// that. What a word does, the package that owns what it is done to says.
//
// It knows neither modules nor clouds.
package orders
