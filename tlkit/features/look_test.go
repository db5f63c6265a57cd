package features

import "testing"

// The pictures that are looked at are spread evenly, and none is missed where there are few.
func TestLooksAt(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 2, 47: 47, 48: 48, 49: 48, 100: 48, 12345: 48} {
		seen, last := 0, -1
		for i := range n {
			if !looksAt(i, n) {
				continue
			}
			if gap := i - last; last >= 0 && gap > n/48+1 {
				t.Errorf("%d pictures: none between %d and %d", n, last, i)
			}
			seen, last = seen+1, i
		}
		if seen != want || !looksAt(0, n) {
			t.Errorf("%d of %d pictures are looked at, want %d with the first", seen, n, want)
		}
	}
}
