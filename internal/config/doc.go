// Package config owns the daemon's configuration: it turns TOML files into a
// validated [Config] whose values can be used as they are.
//
// It promises that every mistake is reported at once, up to a line that is no TOML,
// each with its file,
// line, column and key and with what to do about it ([Mistakes]); that a
// [Config] it returns has no value which could leave its argument in an AT
// command (no CR, LF, NUL, Ctrl-Z, Esc or quote) and none outside the bounds
// that the types document; and that neither a mistake nor [Config.Dump] shows
// a secret.
//
// The files: the main file first, then FILE.d/*.toml beside it in name order
// (names that begin with a dot are left out). A key in a later file replaces
// the same key of an earlier one, arrays of strings included; the tables
// [[subscribe]], [[batch]] and [[access]] of all files add up. A key set twice within one
// file is a mistake. Every value is judged where it stands, also one that a
// later file replaces.
//
// A file that others may write, or in whose directory they may, is a mistake like
// any other (guard.go), because it names programs that the daemon runs.
//
// The secrets: product_secret_file, else the systemd credential
// product-secret in $CREDENTIALS_DIRECTORY, else $AIRBRIDGED_PRODUCT_SECRET;
// device_secret_file, else the credential device-secret. The first of these
// that is there is used, and a source that is there but broken is a mistake
// even if another one would do. Two sources that disagree are a [Warning] that
// says which one is used. With a device secret given by hand the product
// secret is not needed: such a device never registers.
//
// It never opens a device, a socket or the network, and changes nothing on
// disk.
package config
