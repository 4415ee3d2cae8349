// Package host is what the daemon has of the machine it runs on, and what that
// machine wants of it: the service manager with its notifications, its watchdog and
// the sockets that it hands over; the log's way to the journal; the reset line; the
// programs that the configuration names; the system clock.
//
// It never talks to the module or the cloud, and decides nothing about them.
package host
