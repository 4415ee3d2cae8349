// Package vm runs the product on real Linux kernels, which qemu emulates: serial
// drivers, unplugged adapters, power cuts on file systems, a GPIO chip. It holds nothing
// but tests, and they run only when asked to (make vm), because they need qemu, kernels
// of Debian's and minutes.
//
// A machine is a kernel of a Debian package, the modules that a test needs, busybox and
// the programs, all in an initramfs; the module is airsim on the host, behind one of
// qemu's serial devices.
package vm
