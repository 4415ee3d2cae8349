package mqttd

// idSet is a set of packet identifiers. Clients number theirs in order, so that
// few pages are in use; a hostile one makes it 10 KiB.
type idSet struct {
	pages *[256]*[4]uint64
}

func (s *idSet) has(id uint16) bool {
	if s.pages == nil || s.pages[id>>8] == nil {
		return false
	}
	return s.pages[id>>8][id>>6&3]&(1<<(id&63)) != 0
}

func (s *idSet) add(id uint16) {
	if s.pages == nil {
		s.pages = new([256]*[4]uint64)
	}
	if s.pages[id>>8] == nil {
		s.pages[id>>8] = new([4]uint64)
	}
	s.pages[id>>8][id>>6&3] |= 1 << (id & 63)
}

// remove says whether it was there.
func (s *idSet) remove(id uint16) bool {
	if !s.has(id) {
		return false
	}
	page := s.pages[id>>8]
	if page[id>>6&3] &^= 1 << (id & 63); *page == [4]uint64{} {
		s.pages[id>>8] = nil
	}
	return true
}
