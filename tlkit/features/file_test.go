package features

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

var endings = []string{npyEnding, csvEnding, safeEnding}

// hardRows has numbers that a careless format loses, and hardPaths names that one breaks. The picture
// in the middle has no row.
func hardRows() (*Matrix, []string) {
	m := &Matrix{Features: 3, Items: []int{0, 2, 3}, Data: []float32{
		0.1, float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32,
		math.MaxFloat32, -16777217, 1e-7,
		1.0 / 3, 3, -2.5,
	}}
	return m, []string{"a b/ü,\"1\".jpg", "broken.jpg", "<&>'.png", "z.png"}
}

func bitsOf(values []float32) []byte {
	out, _ := binary.Append(nil, binary.LittleEndian, values)
	return out
}

// readBack reads a file of features without the code that writes it.
func readBack(t *testing.T, path string) (rows, columns int, data []float32, paths []string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	switch filepath.Ext(path) {
	case ".npy":
		end := 10 + int(binary.LittleEndian.Uint16(raw[8:]))
		if string(raw[:8]) != "\x93NUMPY\x01\x00" || end%64 != 0 || raw[end-1] != '\n' {
			t.Fatalf("%q is no header of NumPy", raw[:min(end, len(raw))])
		}
		if _, err := fmt.Sscanf(string(raw[10:end]), "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", &rows, &columns); err != nil {
			t.Fatal(err)
		}
		data = make([]float32, (len(raw)-end)/4)
		if _, err := binary.Decode(raw[end:], binary.LittleEndian, data); err != nil {
			t.Fatal(err)
		}
		list, err := os.ReadFile(path + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		paths = strings.Split(strings.TrimSuffix(string(list), "\n"), "\n")
	case ".csv":
		lines, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		rows, columns = len(lines)-1, len(lines[0])-1
		for _, l := range lines[1:] {
			paths = append(paths, l[0])
			for _, text := range l[1:] {
				v, err := strconv.ParseFloat(text, 32)
				if err != nil {
					t.Fatal(err)
				}
				data = append(data, float32(v))
			}
		}
	case ".safetensors":
		f, err := weights.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		tensor, ok := f.Tensor("features")
		if !ok || len(tensor.Shape) != 2 {
			t.Fatalf("%v, %v", f.Names(), tensor.Shape)
		}
		rows, columns = tensor.Shape[0], tensor.Shape[1]
		if data, err = tensor.Float32(); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(f.Metadata["paths"]), &paths); err != nil {
			t.Fatal(err)
		}
	}
	return rows, columns, data, paths
}

func TestFilesKeepEveryBitAndPath(t *testing.T) {
	m, pictures := hardRows()
	want := []string{pictures[0], pictures[2], pictures[3]}
	for _, ending := range endings {
		path := filepath.Join(t.TempDir(), "a"+ending)
		for range 2 { // a file of ours is replaced
			if err := (File{Path: path}).Write(m, pictures); err != nil {
				t.Fatal(err)
			}
		}
		rows, columns, data, paths := readBack(t, path)
		if rows != 3 || columns != 3 || !bytes.Equal(bitsOf(data), bitsOf(m.Data)) || !slices.Equal(paths, want) {
			t.Errorf("%s: [%d,%d] %v of %q", ending, rows, columns, data, paths)
		}
		left, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(left) != len(File{Path: path}.Files()) {
			t.Errorf("%s: %v is left, %v", ending, left, err)
		}
	}
}

// What is there and is not ours stays, whole or torn, unless it may go.
func TestFilesOfOthersStay(t *testing.T) {
	m, pictures := hardRows()
	other := &Matrix{Features: 3, Items: []int{0, 1}, Data: make([]float32, 6)}
	for _, ending := range endings {
		for name, spoil := range map[string]func(path string) error{
			"a note":    func(path string) error { return os.WriteFile(path, []byte("path,price\na note\n"), 0o600) },
			"empty":     func(path string) error { return os.WriteFile(path, nil, 0o600) },
			"a folder":  func(path string) error { return os.Mkdir(path, 0o700) },
			"no list":   func(path string) error { return npyOnly(m, path, func() error { return os.Remove(path + ".txt") }) },
			"only list": func(path string) error { return npyOnly(m, path, func() error { return os.Remove(path) }) },
			"torn":      func(path string) error { return npyOnly(m, path, func() error { return os.Truncate(path, 140) }) },
			"other list": func(path string) error {
				return npyOnly(m, path, func() error { return os.WriteFile(path+".txt", []byte("a\nb\n"), 0o600) })
			},
			"another's tensor": func(path string) error {
				return weights.WriteSafetensors(path, []weights.Tensor{weights.FromFloat32("features", []int{1, 1}, []float32{1})}, nil)
			},
		} {
			path := filepath.Join(t.TempDir(), "a"+ending)
			if err := spoil(path); err == errNotThis {
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			before := content(path)
			if err := (File{Path: path}).Write(other, pictures); err == nil || content(path) != before {
				t.Errorf("%s where there is %s: %v, and what was there changed: %v", ending, name, err, content(path) != before)
			}
			err := File{Path: path, Force: true}.Write(m, pictures)
			if (err == nil) != (name != "a folder") {
				t.Errorf("%s over %s by force: %v", ending, name, err)
			}
			if err == nil {
				if rows, _, _, paths := readBack(t, path); rows != 3 || len(paths) != 3 {
					t.Errorf("%s over %s by force: %d rows, %q", ending, name, rows, paths)
				}
			}
		}
	}
}

var errNotThis = fmt.Errorf("only for .npy")

// npyOnly writes an .npy file and damages it.
func npyOnly(m *Matrix, path string, damage func() error) error {
	if filepath.Ext(path) != npyEnding {
		return errNotThis
	}
	if err := (File{Path: path}).Write(m, make([]string, 4)); err != nil {
		return err
	}
	return damage()
}

// content is what a name and the list beside it stand for.
func content(path string) string {
	a, err1 := os.ReadFile(path)
	b, err2 := os.ReadFile(path + listEnding)
	return fmt.Sprintf("%q %v %q %v", a, err1, b, err2)
}

func TestFilesThatCannotBe(t *testing.T) {
	m, pictures := hardRows()
	dir := t.TempDir()
	for _, c := range []struct{ path, picture, word string }{
		{"a.txt", "", ".safetensors"},
		{"a", "", ".npy"},
		{"no/a.npy", "", "no folder"},
		{"a.npy", "two\nlines.jpg", "line break"},
		{"a.safetensors", "\xff.jpg", "UTF-8"},
	} {
		names := slices.Clone(pictures)
		names[2] = c.picture
		err := File{Path: filepath.Join(dir, c.path)}.Write(m, names)
		if err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s with %q: %v, want %q in it", c.path, c.picture, err, c.word)
		}
	}
	for _, ending := range endings {
		f := File{Path: filepath.Join(dir, "b"+ending)}
		if err := f.Write(&Matrix{Features: 3}, nil); err == nil {
			t.Errorf("%s without rows is written", ending)
		}
		if err := f.Write(m, pictures[:3]); err == nil {
			t.Errorf("%s without a path for a row is written", ending)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// NumPy and the safetensors of Python read the same bits and paths. Set TLKIT_ONNX_PYTHON to a Python
// that has numpy and safetensors.
func TestFileReferee(t *testing.T) {
	python := os.Getenv("TLKIT_ONNX_PYTHON")
	if python == "" {
		t.Skip("TLKIT_ONNX_PYTHON is not set: no Python with numpy and safetensors to compare with")
	}
	m, pictures := hardRows()
	dir := t.TempDir()
	for _, ending := range endings {
		if err := (File{Path: filepath.Join(dir, "a"+ending)}).Write(m, pictures); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), python, "../../internal/golden/referee/features_files.py", dir)
	cmd.Stderr = os.Stderr
	said, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]struct {
		Shape  []int
		SHA256 string
		Paths  []string
	}
	if err := json.Unmarshal(said, &got); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(bitsOf(m.Data))
	for _, ending := range endings {
		g := got[ending]
		if !slices.Equal(g.Shape, []int{3, 3}) || g.SHA256 != hex.EncodeToString(sum[:]) || !slices.Equal(g.Paths, []string{pictures[0], pictures[2], pictures[3]}) {
			t.Errorf("%s: %+v", ending, g)
		}
	}
}

func TestNearest(t *testing.T) {
	m := &Matrix{Features: 2, Items: []int{0, 1, 2, 3, 4}, Data: []float32{0, 1, 3, 3, 2e-30, 0, 0, 0, -1, 0}}
	got := m.Nearest([]float32{1e30, 0}, 9)
	want := []Neighbour{{2, 1}, {1, math.Sqrt(0.5)}, {0, 0}, {3, 0}, {4, -1}}
	for i, w := range want {
		if len(got) != len(want) || got[i].Row != w.Row || math.Abs(got[i].Cosine-w.Cosine) > 1e-15 {
			t.Fatalf("%v, want %v", got, want)
		}
	}
	if two := m.Nearest([]float32{1, 0}, 2); len(two) != 2 || len(m.Nearest([]float32{1, 0}, -1)) != 0 {
		t.Errorf("%v", two)
	}
}
