package jpeg

// progressiveBlock adds the data of a scan to a block.
func (s *scan) progressiveBlock(i int, b *[64]int16) bool {
	switch {
	case s.first == 0 && s.high == 0:
		size, ok := s.code(s.dc[i])
		if !ok {
			return false
		}
		if size > 0 {
			s.pred[i] += extend(s.bits(uint(size)), int(size))
		}
		b[0] = int16(s.pred[i] << s.low)
	case s.first == 0:
		b[0] |= int16(s.bits(1) << s.low)
	case s.high == 0:
		return s.firstAC(s.ac[i], b)
	default:
		return s.refineAC(s.ac[i], b)
	}
	return true
}

func (s *scan) firstAC(h *huffman, b *[64]int16) bool {
	if s.eobRun > 0 {
		s.eobRun--
		return true
	}
	for k := s.first; k <= s.last; k++ {
		symbol, ok := s.code(h)
		if !ok {
			return false
		}
		run, size := int(symbol>>4), uint(symbol&15)
		if size == 0 {
			if run < 15 {
				s.eobRun = 1<<run - 1 + int(s.bits(uint(run)))
				return true
			}
			k += 15
			continue
		}
		k += run
		if k > s.last {
			return false
		}
		b[unzig[k]&63] = int16(extend(s.bits(size), int(size)) << s.low)
	}
	return true
}

// refineAC adds one bit to every coefficient that is not zero and places new ones
// between them: a run counts only coefficients that are still zero.
func (s *scan) refineAC(h *huffman, b *[64]int16) bool {
	bit := int16(1) << s.low
	k := s.first
	if s.eobRun == 0 {
		for k <= s.last {
			symbol, ok := s.code(h)
			if !ok {
				return false
			}
			run, fresh := int(symbol>>4), int16(0)
			switch symbol & 15 {
			case 0:
				if run < 15 {
					s.eobRun = 1<<run + int(s.bits(uint(run)))
				}
			case 1:
				fresh = bit
				if s.bits(1) == 0 {
					fresh = -bit
				}
			default:
				return false
			}
			if s.eobRun > 0 {
				break
			}
			for ; k <= s.last; k++ {
				c := &b[unzig[k]&63]
				if *c != 0 {
					s.refine(c, bit)
					continue
				}
				if run == 0 {
					break
				}
				run--
			}
			if k > s.last {
				if fresh != 0 {
					return false
				}
				break
			}
			if fresh != 0 {
				b[unzig[k]&63] = fresh
			}
			k++
		}
	}
	if s.eobRun > 0 {
		for ; k <= s.last; k++ {
			if c := &b[unzig[k]&63]; *c != 0 {
				s.refine(c, bit)
			}
		}
		s.eobRun--
	}
	return true
}

func (s *scan) refine(c *int16, bit int16) {
	if s.bits(1) == 0 || *c&bit != 0 {
		return
	}
	if *c > 0 {
		*c += bit
	} else {
		*c -= bit
	}
}

// reconstruct turns the coefficients of a progressive picture into samples.
func (c *component) reconstruct() {
	var block [64]int32
	stride := 8 * c.blocks.w
	for step := c.need.Min.Y; step < c.need.Max.Y; step++ {
		for bx := c.need.Min.X; bx < c.need.Max.X; bx++ {
			src := &c.coefs[step*c.blocks.w+bx]
			last := 0
			for k, n := range unzig {
				v := src[n&63]
				block[n&63] = int32(v) * c.table[k]
				if v != 0 {
					last = k
				}
			}
			idct(&block, last, c.pix[8*(step*stride+bx):], stride)
		}
	}
}
