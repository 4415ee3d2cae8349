package outbox

// searchBudget bounds the bytes that are summed to find the next sound record
// behind a damaged one, so that no content can make the start slow.
const searchBudget = 32 << 20

// scanner finds the records of a segment.
type scanner struct {
	seg     *segment
	b       []byte // the file
	limit   int    // how many records there can be at most; -1: nobody knows
	seq     uint64 // of the last record found
	ordinal int    // of it; -1: none yet
	end     int64  // where it ends
	budget  int
}

// run calls found for each record and returns how many are missing between them.
func (s *scanner) run(found func(r *record, offset int64)) (lost int) {
	s.end, s.budget = headSize, searchBudget
	for at := s.end; ; at = s.end {
		r, n, ok := s.at(at)
		if !ok {
			if at, r, n, ok = s.search(at); !ok {
				return lost
			}
		}
		lost += int(r.ordinal) - s.ordinal - 1
		s.seq, s.ordinal, s.end = r.seq, int(r.ordinal), at+padded(int64(n))
		found(&r, at)
	}
}

// at reads the record at an offset, if one is there that can follow the last.
func (s *scanner) at(at int64) (r record, n int, ok bool) {
	if at >= int64(len(s.b)) {
		return r, 0, false
	}
	b := s.b[at:]
	if length, ok := plausible(b); !ok || !s.follows(le.Uint64(b[8:]), int(le.Uint16(b[32:]))) {
		return r, 0, false
	} else if at != s.end { // searching
		if s.budget -= length; s.budget < 0 {
			return r, 0, false
		}
	}
	return decodeRecord(b, s.seg.seed)
}

func (s *scanner) follows(seq uint64, ordinal int) bool {
	return seq > s.seq && ordinal > s.ordinal && ordinal < maxRecords && (s.limit < 0 || ordinal < s.limit)
}

// search looks for the next record behind one that is not sound.
func (s *scanner) search(from int64) (at int64, r record, n int, ok bool) {
	for at = from + padding; at+recordHead <= int64(len(s.b)); at += padding {
		if r, n, ok = s.at(at); ok {
			return at, r, n, true
		}
	}
	return 0, record{}, 0, false
}
