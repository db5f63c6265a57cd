package embed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"testing"
)

// points are those of internal/golden/referee/embed.py, by the same formula.
func points() Rows {
	r := Rows{N: 300, C: 20}
	for i := range r.N {
		for c := range r.C {
			g, f, k := float64(i%5), float64(i), float64(c)
			r.Data = append(r.Data, float32(2*math.Sin(1.7*g+0.9*k+0.3*g*k)+0.7*math.Sin(12.9898*f+78.233*k)*math.Cos(4.1414*f*k+1)))
		}
	}
	return r
}

type referee struct {
	Variance []float64
	First    [][]float64
	TrustPCA float64 `json:"trust_pca"`
	TSNE     []struct {
		Perplexity, KL, Trust float64
	}
}

func readReferee(t *testing.T) (r referee) {
	t.Helper()
	b, err := os.ReadFile("testdata/referee.json")
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Components and their variance against scikit-learn. Directions are compared up to their sign.
func TestPCAAgainstReferee(t *testing.T) {
	want := readReferee(t)
	p, err := PCA(points(), 4)
	if err != nil {
		t.Fatal(err)
	}
	for j, v := range want.Variance {
		tolerance := 1e-9
		if j >= 2 { // of which fewer digits are computed
			tolerance = 1e-4
		}
		if math.Abs(p.Variance[j]-v) > tolerance {
			t.Errorf("component %d has %.10f of the variance, the referee says %.10f", j, p.Variance[j], v)
		}
	}
	for j := range 2 {
		sign := 1.0
		if p.At[0][j]*want.First[0][j] < 0 {
			sign = -1
		}
		for i, row := range want.First {
			if d := math.Abs(sign*p.At[i][j] - row[j]); d > 1e-5 {
				t.Errorf("picture %d, component %d: %v, the referee says %v", i, j, p.At[i][j], row[j])
			}
		}
	}
	places := make([][]float64, len(p.At))
	for i, row := range p.At {
		places[i] = row[:2]
	}
	trust, err := Trust(points(), places, 10)
	if err != nil || math.Abs(trust-want.TrustPCA) > 1e-4 { // places are compared as float32
		t.Errorf("trustworthiness %v (%v), the referee says %v", trust, err, want.TrustPCA)
	}
}

// t-SNE ends with a divergence no worse than scikit-learn's by 5 %, and keeps neighbours as well.
func TestTSNEAgainstReferee(t *testing.T) {
	for _, want := range readReferee(t).TSNE {
		p, err := TSNE(t.Context(), points(), Options{Perplexity: want.Perplexity})
		if err != nil {
			t.Fatal(err)
		}
		trust, err := Trust(points(), p.At, 10)
		if err != nil {
			t.Fatal(err)
		}
		if p.KL > 1.05*want.KL || p.KL < 0.8*want.KL || trust < want.Trust-0.01 {
			t.Errorf("perplexity %g: divergence %.4f, trustworthiness %.4f; the referee has %.4f and %.4f", want.Perplexity, p.KL, trust, want.KL, want.Trust)
		}
	}
}

// The same features give the same bits on any number of processors.
func TestSameBits(t *testing.T) {
	one, err := TSNE(t.Context(), points(), Options{Steps: 60})
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	two, err := TSNE(t.Context(), points(), Options{Steps: 60})
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range one.At {
		if row[0] != two.At[i][0] || row[1] != two.At[i][1] {
			t.Fatalf("picture %d: %v and %v", i, row, two.At[i])
		}
	}
}

// Odd features: one picture, two, all equal, one feature, more features than pictures.
func TestOddFeatures(t *testing.T) {
	equal := Rows{N: 40, C: 3, Data: make([]float32, 120)}
	wide := Rows{N: 8, C: 200}
	for i := range 1600 {
		wide.Data = append(wide.Data, float32(math.Sin(float64(i*i))))
	}
	for name, r := range map[string]Rows{"one": {1, 2, []float32{1, 2}}, "two": {2, 1, []float32{1, 2}}, "equal": equal, "wide": wide, "thin": {6, 1, []float32{1, 2, 3, 4, 5, 60}}, "huge": {4, 2, []float32{1e18, 0, 0, 1e18, 0, 0, 5, 5}}} {
		p, err := PCA(r, 2)
		if err != nil || len(p.At) != r.N {
			t.Errorf("%s: PCA: %v", name, err)
			continue
		}
		finite(t, name+": PCA", p)
		p, err = TSNE(t.Context(), r, Options{})
		if r.N < 4 {
			if err == nil {
				t.Errorf("%s: t-SNE of %d pictures is no error", name, r.N)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: t-SNE: %v", name, err)
			continue
		}
		finite(t, name+": t-SNE", p)
	}
	for name, r := range map[string]Rows{"none": {}, "short": {2, 2, []float32{1}}, "NaN": {1, 1, []float32{float32(math.NaN())}}, "many": {MostPictures + 1, 1, make([]float32, MostPictures+1)}} {
		if _, err := PCA(r, 2); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := Trust(points(), make([][]float64, 3), 10); err == nil {
		t.Error("too few places are no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := TSNE(ctx, points(), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

func finite(t *testing.T, what string, p *Plane) {
	t.Helper()
	for i, row := range p.At {
		for _, v := range row {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("%s: picture %d lies at %v", what, i, row)
			}
		}
	}
}

// Three groups of pictures on one line of features: the first component is that line.
func ExamplePCA() {
	rows := Rows{N: 6, C: 3, Data: []float32{
		0, 0, 1, 0.1, 0, 1,
		5, 0, 1, 5.1, 0, 1,
		9, 0, 1, 9.1, 0, 1,
	}}
	p, err := PCA(rows, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.0f %% of the variance, from %.1f to %.1f\n", 100*p.Variance[0], p.At[0][0], p.At[5][0])
	// Output: 100 % of the variance, from -4.7 to 4.4
}

func BenchmarkTSNE(b *testing.B) {
	r := Rows{N: 1500, C: 64}
	for i := range r.N * r.C {
		r.Data = append(r.Data, float32(math.Sin(float64(i%977)*1.3)+float64(i/r.C%10)))
	}
	for b.Loop() {
		if _, err := TSNE(b.Context(), r, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
