// Package nspawn tests the Debian packages under a real systemd: it boots Debian
// releases in containers, installs, runs, breaks, upgrades and purges there. It
// holds nothing but tests, and they run only when asked to (make nspawn), because
// they need root and minutes.
package nspawn
