package zoo

import (
	"os"
	"path/filepath"
)

// Here gives the row's weights file when it is on this machine, without the network: fetched before, or, of a row whose
// file is yours, in a folder of the row's name or alias below $TLKIT_DATA, where package datasets looks too:
//
//	$TLKIT_DATA/teachable_machine/model.json
func (r Row) Here() (string, bool) {
	if len(r.File.Sources) > 0 {
		return r.File.Cached()
	}
	data := os.Getenv("TLKIT_DATA")
	if data == "" || r.File.Name == "" {
		return "", false
	}
	for _, name := range append([]string{r.Name}, r.Aliases...) {
		p := filepath.Join(data, name, r.File.Name)
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			return p, true
		}
	}
	return "", false
}

// smallPackage is up to how many bytes a package is taken along without being asked for: a minute on a slow line.
const smallPackage = 60_000_000

// Handy lists the rows that can be had without much ado: those that are here and, with a network, those that come in a
// Python or npm package below 60 MB.
func Handy(offline bool) []Row {
	var out []Row
	for _, r := range Rows() {
		_, here := r.Here()
		if n, ok := r.File.Package(); here || ok && n < smallPackage && !offline {
			out = append(out, r)
		}
	}
	return out
}
