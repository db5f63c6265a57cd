package zoo

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// plainPreset is for pictures that are made, not prepared.
func plainPreset(size int) *transforms.Preset {
	return &transforms.Preset{Name: "plain", Size: size, Geometry: "short", Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB"}
}

func loadTiny(t testing.TB, file, cut string, size int) *Net {
	t.Helper()
	n, err := Load(context.Background(), filepath.Join("../onnx/testdata", file)+"#"+cut, Options{Preset: plainPreset(size)})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A file does not say which pixels it wants, so Load asks.
func TestWantsPreset(t *testing.T) {
	_, err := Load(context.Background(), "../onnx/testdata/old.onnx", Options{})
	if e := (*PresetError)(nil); !errors.As(err, &e) || !strings.Contains(err.Error(), "--statistics") || !strings.Contains(err.Error(), "old.onnx") {
		t.Errorf("without a preset: %v", err)
	}
	row, err := Find("../onnx/testdata/tokens.onnx")
	if err != nil || row.Preset.Size != 16 || row.Features != 12 || row.Name != "tokens.onnx#token" {
		t.Errorf("the row is %+v, %v", row, err)
	}
	if _, err := Load(context.Background(), "../onnx/testdata/tokens.onnx", Options{Preset: plainPreset(32)}); err == nil || !strings.Contains(err.Error(), "16 pixels") {
		t.Errorf("pictures of another size than the file's: %v", err)
	}
	// A file of the same network elsewhere, as a head file asks for it by its plain name.
	n, err := Load(context.Background(), "tokens.onnx#token", Options{Preset: plainPreset(16), Weights: "../onnx/testdata/tokens.onnx"})
	if err != nil || n.Row.Name != "tokens.onnx#token" || n.Published {
		t.Errorf("%v, %v", n, err)
	}
	if _, err := Load(context.Background(), "tokens.onnx", Options{Preset: plainPreset(16)}); err == nil || !strings.Contains(err.Error(), "--weights") {
		t.Errorf("a file that is elsewhere: %v", err)
	}
}

// The cut decides what the features are, so it is part of the identity.
func TestIdentity(t *testing.T) {
	a, b := loadTiny(t, "odd.onnx", "features", 12), loadTiny(t, "odd.onnx", "map", 12)
	if a.SHA256 != b.SHA256 || a.Identity() == b.Identity() {
		t.Errorf("identities %q and %q", a.Identity(), b.Identity())
	}
	if a.Row.Name != "odd.onnx#features" {
		t.Errorf("the row is called %s", a.Row.Name)
	}
}

// The published file has the parameters and features that its row says.
func TestRow(t *testing.T) {
	for _, r := range onnxRows {
		path, ok := r.file.Cached()
		if !ok {
			t.Skipf("needs %s: tlkit verify %s fetches it", r.file.Name, r.Name)
		}
		n, err := Load(context.Background(), r.Name, Options{Offline: true})
		if err != nil {
			t.Fatal(err)
		}
		if d := n.Declaration(); d.Params() != r.Params || d.Features != r.Features || !n.Published || n.Row.Name != r.Name || d.Map[2] != d.Features {
			t.Errorf("%s: %d parameters, %d features, map %v, published %v", path, d.Params(), d.Features, d.Map, n.Published)
		}
	}
}

// A NaN among the weights is refused, as in any other file.
func TestONNXNotFinite(t *testing.T) {
	raw, err := os.ReadFile("../onnx/testdata/tokens.onnx")
	if err != nil {
		t.Fatal(err)
	}
	var m protos.ModelProto
	if err := proto.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	for _, w := range m.Graph.Initializer {
		if w.DataType == 1 && len(w.RawData) > 100 {
			binary.LittleEndian.PutUint32(w.RawData, math.Float32bits(float32(math.NaN())))
			break
		}
	}
	raw, err = proto.Marshal(&m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "stranger.onnx")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(context.Background(), path, Options{Preset: plainPreset(16)}); err == nil || !strings.Contains(err.Error(), "1 NaN") {
		t.Errorf("%v", err)
	}
}
