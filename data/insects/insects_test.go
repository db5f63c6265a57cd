package insects

import (
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// The pictures are frozen. Whoever changes one on purpose raises Version, looks
// at a sheet of them, measures the levels anew, and writes the new sums here.
var frozen = map[string]uint32{
	"easy/train/0/0": 0x070d9e67, "easy/train/1/1": 0xaba1281e, "easy/train/0/7": 0xa9ec5528, "easy/train/1/121": 0x097fdfcc, "easy/test/0/3": 0x7dec47f2, "easy/test/1/499": 0xc088dfa4,
	"medium/train/0/0": 0xc1eb41a4, "medium/train/1/1": 0x60318ef0, "medium/test/0/42": 0x754074f1, "medium/test/1/43": 0x85d39fd9,
	"hard/train/0/0": 0x8a860006, "hard/train/1/1": 0x286b0f12, "hard/test/0/42": 0x7be0538a, "hard/test/1/43": 0x28a63f1c,
}

func TestFrozen(t *testing.T) {
	for name, want := range frozen {
		p := strings.Split(name, "/")
		var class, index int
		fmt.Sscan(p[2], &class)
		fmt.Sscan(p[3], &index)
		img, err := Draw(Level(p[0]), p[1], class, index)
		if err != nil {
			t.Fatal(err)
		}
		if got := crc32.ChecksumIEEE(img.Pix); got != want {
			t.Errorf("%q: %#08x, // was %#08x", name, got, want)
		}
	}
}

// On arm64 and others Go fuses a*b+c into one rounding, unless the product is
// rounded by a conversion. One forgotten mul would make other pictures there.
func TestNoFusedArithmetic(t *testing.T) {
	if testing.Short() {
		t.Skip("cross-compiles for arm64")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command to compile with")
	}
	cmd := exec.Command(goTool, "build", "-gcflags=-S", "-o", os.DevNull, ".")
	cmd.Env = append(os.Environ(), "GOARCH=arm64", "GOOS=linux", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Skipf("cannot compile for arm64 here: %v", err)
	}
	if !strings.Contains(string(out), "FMULD") {
		t.Fatal("the listing shows no multiplication: it is not what this test takes it for")
	}
	for _, line := range regexp.MustCompile(`(?m)^.*\bFN?M(ADD|SUB)[SD]\b.*$`).FindAllString(string(out), -1) {
		t.Errorf("fused: %s", strings.TrimSpace(line))
	}
}

func TestCircle(t *testing.T) {
	for i := -3000; i <= 3000; i++ {
		turns := float64(i) / 997
		c, s := circle(turns)
		if math.Abs(c-math.Cos(2*math.Pi*turns)) > 1e-8 || math.Abs(s-math.Sin(2*math.Pi*turns)) > 1e-8 {
			t.Fatalf("circle(%v) = %v, %v; want %v, %v", turns, c, s, math.Cos(2*math.Pi*turns), math.Sin(2*math.Pi*turns))
		}
	}
}

func TestPicturesDiffer(t *testing.T) {
	seen := map[uint32]string{}
	for _, level := range []Level{Easy, Medium, Hard} {
		for _, split := range []string{"train", "test"} {
			for class := range 2 {
				for i := range 3 {
					img, err := Draw(level, split, class, i)
					if err != nil {
						t.Fatal(err)
					}
					name := fmt.Sprint(level, split, class, i)
					sum := crc32.ChecksumIEEE(img.Pix)
					if other, ok := seen[sum]; ok {
						t.Errorf("%s and %s are the same picture", name, other)
					}
					seen[sum] = name
					if b := img.Bounds(); b.Dx() != Side || b.Dy() != Side {
						t.Errorf("%s is %v", name, b)
					}
					for k := 3; k < len(img.Pix); k += 4 {
						if img.Pix[k] != 255 {
							t.Fatalf("%s is not opaque", name)
						}
					}
				}
			}
		}
	}
}

// Colour alone must not tell ants from bees: the ground is drawn by the same
// dice for both. The nearest of two mean colours is right about half the time.
func TestColourDoesNotTell(t *testing.T) {
	const n = 60
	mean := func(split string, class, i int) (m [3]float64) {
		img, err := Draw("easy", split, class, i)
		if err != nil {
			t.Fatal(err)
		}
		for k := 0; k < len(img.Pix); k += 4 {
			for c := range m {
				m[c] += float64(img.Pix[k+c]) / (Side * Side)
			}
		}
		return m
	}
	var centre [2][3]float64
	for class := range 2 {
		for i := range n {
			m := mean("train", class, i)
			for c := range m {
				centre[class][c] += m[c] / n
			}
		}
	}
	right := 0
	for class := range 2 {
		for i := range n {
			m := mean("test", class, i)
			var d [2]float64
			for k := range 2 {
				for c := range m {
					d[k] += (m[c] - centre[k][c]) * (m[c] - centre[k][c])
				}
			}
			if d[class] < d[1-class] {
				right++
			}
		}
	}
	if share := float64(right) / (2 * n); share > 0.65 {
		t.Errorf("the mean colour alone is right about %.0f %% of the pictures", 100*share)
	}
}

func TestDrawRefuses(t *testing.T) {
	for _, c := range []struct {
		level        Level
		split        string
		class, index int
		want         string
	}{
		{"trivial", "train", 0, 0, "no level"},
		{"easy", "valid", 0, 0, "no split"},
		{"easy", "train", 2, 0, "class 2"},
		{"easy", "train", -1, 0, "class -1"},
		{"easy", "train", 0, -1, "number -1"},
	} {
		if _, err := Draw(c.level, c.split, c.class, c.index); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Draw(%q, %q, %d, %d): error %v, want one with %q", c.level, c.split, c.class, c.index, err, c.want)
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	for i := 0; b.Loop(); i++ {
		if _, err := Draw("easy", "train", i%2, i); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleDraw() {
	img, err := Draw("easy", "train", 1, 0) // the first bee
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(Classes[1], img.Bounds().Dx(), "x", img.Bounds().Dy())
	// Output: bees 192 x 192
}
