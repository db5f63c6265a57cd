package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/cachedir"
)

// Kept is the form in which a program is run on this machine, and what led to the choice.
type Kept struct {
	Name    string    `json:"name"`              // of the network
	Form    Form      `json:"form"`              // the choice
	Trials  []Trial   `json:"trials"`            // everything that was measured, in order
	Witness []float32 `json:"witness,omitempty"` // what the form computed for a built-in input
	Weights string    `json:"weights,omitempty"` // with these weights
	When    time.Time `json:"when"`
	On      string    `json:"on"` // Engine.Device
}

// Trial is what was found out about one form.
type Trial struct {
	Form    Form    `json:"form"`
	Rate    float64 `json:"rate,omitempty"`    // pictures/s; 0 = not measured
	Opening float64 `json:"opening,omitempty"` // s to compile or load it
	Refused string  `json:"refused,omitempty"` // why it is not used, such as results that differ
}

// Rate returns the measured pictures/s of the chosen form; 0 = it was not measured.
func (k Kept) Rate() float64 {
	for _, t := range k.Trials {
		if t.Form == k.Form {
			return t.Rate
		}
	}
	return 0
}

// formsFormat is the version of the files of kept forms. They lie beside the compile cache, one for
// each program and identity of the engine.
const formsFormat = "tlkit form 2\n"

// keptFile is a file of a kept form: a torn or changed one does not agree with its sum.
type keptFile struct {
	Kept json.RawMessage `json:"kept"`
	Sum  string          `json:"sha256"`
}

// keptPath names the file of a program by all that its speed and its bits depend on.
func (e *Engine) keptPath(program string) (string, error) {
	dir, err := cachedir.Dir("forms")
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(formsFormat + e.Identity() + "\n" + machineID() + "\n" + program))
	return filepath.Join(dir, hex.EncodeToString(sum[:16])+".json"), nil
}

// Kept returns the form that was kept for a program on this machine, with this engine. program names
// it with everything that its speed depends on: network and size. A file that is damaged, or
// of another version, counts as none.
func (e *Engine) Kept(program string) (k Kept, ok bool) {
	path, err := e.keptPath(program)
	if err != nil {
		return k, false
	}
	return readKept(path)
}

func readKept(path string) (k Kept, ok bool) {
	const most = 16 << 20
	if info, err := os.Stat(path); err != nil || info.Size() > most {
		return k, false
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return k, false
	}
	var f keptFile
	if json.Unmarshal(data, &f) != nil || f.Sum != keptSum(f.Kept) || json.Unmarshal(f.Kept, &k) != nil {
		return Kept{}, false
	}
	if _, err := ParseForm(k.Form.String()); err != nil {
		return Kept{}, false
	}
	return k, true
}

func keptSum(data []byte) string {
	sum := sha256.Sum256(append([]byte(formsFormat), data...))
	return hex.EncodeToString(sum[:])
}

// Keep keeps the form of a program for the next process. An error is about the cache folder; the
// choice holds without it.
func (e *Engine) Keep(program string, k Kept) error {
	path, err := e.keptPath(program)
	if err != nil {
		return err
	}
	k.On = e.Device
	data, err := json.Marshal(k)
	if err != nil {
		return err
	}
	file, err := json.Marshal(keptFile{Kept: data, Sum: keptSum(data)})
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(path, append(file, '\n'), 0o600)
}

// AllKept returns the forms that are kept in the cache, of all engines, sorted by name.
func AllKept() ([]Kept, error) {
	dir, err := cachedir.Dir("forms")
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var all []Kept
	for _, path := range paths {
		if k, ok := readKept(path); ok {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b Kept) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}
