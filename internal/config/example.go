package config

import _ "embed"

// Example is the example file: every key with its default and what it means.
// With a product key and a secret filled in it is a valid configuration.
//
//go:embed example.toml
var Example string
