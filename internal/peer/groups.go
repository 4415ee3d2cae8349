package peer

import (
	"errors"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxGroups is how many groups a process can be in: NGROUPS_MAX, limits.h(0).
const maxGroups = 65536

// Groups asks the kernel for the groups of whom Of names, besides the primary one:
// SO_PEERGROUPS (Linux 4.13), as the process was in them when it connected. A kernel
// that does not know the option tells of none.
func Groups(c net.Conn) ([]uint32, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	var list []uint32
	var askErr error
	if err := raw.Control(func(fd uintptr) { list, askErr = askGroups(fd) }); err != nil {
		return nil, err
	}
	if errors.Is(askErr, unix.ENOPROTOOPT) {
		return nil, nil
	}
	return list, askErr
}

// askGroups asks with room for the usual few, and then with as much as the kernel says
// is needed.
func askGroups(fd uintptr) ([]uint32, error) {
	for room := 32; ; {
		list := make([]uint32, room)
		size := uint32(room) * uint32(unsafe.Sizeof(list[0]))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&list[0])), uintptr(unsafe.Pointer(&size)), 0)
		n := int(size / uint32(unsafe.Sizeof(list[0])))
		switch {
		case errno == 0:
			return list[:min(n, room)], nil
		case errno != unix.ERANGE || n <= room || n > maxGroups:
			return nil, errno
		}
		room = n
	}
}
