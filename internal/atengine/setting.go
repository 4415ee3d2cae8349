package atengine

// setting is how the next line is set off from the block before it. A count that
// is too small, because a bit of it flipped or a digit was lost, leaves the rest of
// the payload standing where lines do. The module prints every line between line
// ends of its own (AT manual 1.6.3, section 1), so that a line which is one has a
// blank line between it and the block, and a line of the payload has not.
type setting struct {
	due      int // line ends that have to come; 0: not behind a block
	crs, lfs int // that came
	seen     int // blocks whose next line was set off
	tight    int // blocks whose next line was not
}

// tightMost is how many blocks in a row are doubted before a module that never set
// anything off is taken to be one that does not.
const tightMost = 8

// block says that a block ends here, with so many line ends due.
func (s *setting) block(due int) { s.due, s.crs, s.lfs = due, 0, 0 }

// saw counts a line end.
func (s *setting) saw(c byte) {
	switch c {
	case '\r':
		s.crs++
	case '\n':
		s.lfs++
	}
}

// apart says whether the line that begins here is set off as the module does it.
func (s *setting) apart() bool {
	due := s.due
	if s.due = 0; due == 0 {
		return true
	}
	came := s.lfs
	if came == 0 {
		came = s.crs // firmware that ends lines with CR alone
	}
	switch {
	case came >= due && due > 1:
		s.seen++
	case came < due:
		s.tight++
	}
	return came >= due || came > 0 && s.seen == 0 && s.tight > tightMost
}
