package curves

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// resumed is a run with a point that was written twice, values that are not finite, and names that
// must be quoted.
func resumed() Run {
	return Run{Name: `ants, "bees"`, Axis: Epochs, Points: []Point{
		{Step: 1, Epoch: 0.5, Phase: Head, Split: Train, Metric: Loss, Value: 0.75},
		{Step: 2, Epoch: 1, Phase: Head, Split: Valid, Metric: Accuracy, Value: 0.5, N: 10},
		{Step: 300, Epoch: 2, Phase: Finetune, Split: Train, Metric: Loss, Value: 9},
		{Step: 300, Epoch: 2, Phase: Finetune, Split: Train, Metric: Loss, Value: math.Inf(1)},
		{Step: 300, Epoch: 2, Phase: Finetune, Metric: Rate, Value: 1e-3},
		{Step: 301, Epoch: 3, Phase: Finetune, Split: "../of mine", Metric: "my/metric", Value: math.NaN()},
	}}
}

func TestCSV(t *testing.T) {
	var out bytes.Buffer
	if err := resumed().WriteCSV(&out, Run{Name: "other", Points: []Point{{Step: 7, Metric: Loss, Value: 1. / 3}}}); err != nil {
		t.Fatal(err)
	}
	const want = `run,step,epoch,phase,split,metric,value,n
"ants, ""bees""",1,0.5,head,train,loss,0.75,
"ants, ""bees""",2,1,head,valid,accuracy,0.5,10
"ants, ""bees""",300,2,finetune,train,loss,inf,
"ants, ""bees""",300,2,finetune,,rate,0.001,
"ants, ""bees""",301,3,finetune,../of mine,my/metric,NaN,
other,7,0,,,loss,0.3333333333333333,
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 7 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if v, err := strconv.ParseFloat(rows[6][6], 64); err != nil || v != 1./3 {
		t.Errorf("a third reads back as %v, %v", v, err)
	}
	if err := (Run{Points: []Point{{Step: 1}}}).WriteCSV(&out); err == nil {
		t.Error("a point without a metric is written")
	}
}

// scalar is a point as TensorBoard reads it.
type scalar struct {
	tag   string
	step  uint64
	value float32
}

// events reads an event file by the rules of the two formats, written down again here: TFRecord's
// framing and protobuf's wire format.
func events(t *testing.T, path string) (all []scalar) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	unmasked := func(b []byte) uint32 {
		sum := binary.LittleEndian.Uint32(b) - 0xa282ead8
		return sum>>17 | sum<<15
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	for first := true; len(raw) > 0; first = false {
		n := binary.LittleEndian.Uint64(raw)
		if unmasked(raw[8:]) != crc32.Checksum(raw[:8], table) {
			t.Fatalf("%s: the checksum of a length is wrong", path)
		}
		data := raw[12 : 12+n]
		if unmasked(raw[12+n:]) != crc32.Checksum(data, table) {
			t.Fatalf("%s: the checksum of a record is wrong", path)
		}
		raw = raw[16+n:]
		event := fields(t, data)
		if first {
			if string(event[3].([]byte)) != "brain.Event:2" {
				t.Fatalf("%s begins with %v", path, event)
			}
			continue
		}
		value := fields(t, fields(t, event[5].([]byte))[1].([]byte))
		all = append(all, scalar{string(value[1].([]byte)), event[2].(uint64), math.Float32frombits(value[2].(uint32))})
		if got := math.Float64frombits(event[1].(uint64)); got != 1.7e9+0.5 {
			t.Errorf("wall time %v", got)
		}
	}
	return all
}

// fields reads the fields of a protobuf message, by number.
func fields(t *testing.T, b []byte) map[uint64]any {
	t.Helper()
	out := map[uint64]any{}
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		b = b[n:]
		switch key & 7 {
		case 0:
			v, n := binary.Uvarint(b)
			out[key>>3], b = v, b[n:]
		case 1:
			out[key>>3], b = binary.LittleEndian.Uint64(b), b[8:]
		case 2:
			size, n := binary.Uvarint(b)
			out[key>>3], b = b[n:n+int(size)], b[n+int(size):]
		case 5:
			out[key>>3], b = binary.LittleEndian.Uint32(b), b[4:]
		default:
			t.Fatalf("wire type %d", key&7)
		}
	}
	return out
}

func TestTensorBoard(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "train", "events.out.tfevents.mine")
	if err := os.MkdirAll(filepath.Dir(other), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 500_000_000)
	for range 2 { // written again, it replaces its own files
		if err := resumed().WriteTensorBoard(dir, at, false); err != nil {
			t.Fatal(err)
		}
	}
	inf := float32(math.Inf(1))
	if got, want := events(t, filepath.Join(dir, "train", eventFile)), []scalar{{"loss", 1, 0.75}, {"loss", 300, inf}, {"rate", 300, 1e-3}}; !reflect.DeepEqual(got, want) {
		t.Errorf("train has %v, want %v", got, want)
	}
	if got, want := events(t, filepath.Join(dir, "valid", eventFile)), []scalar{{"accuracy", 2, 0.5}}; !reflect.DeepEqual(got, want) {
		t.Errorf("valid has %v, want %v", got, want)
	}
	if got := events(t, filepath.Join(dir, "-of-mine", eventFile)); len(got) != 1 || got[0].tag != "my/metric" || got[0].value == got[0].value {
		t.Errorf("a split of one's own has %v", got)
	}
	folders, err := os.ReadDir(dir)
	if err != nil || len(folders) != 3 {
		t.Errorf("%v, %v", folders, err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("a file of somebody else is gone: %v", err)
	}
	if err := resumed().WriteTensorBoard(other, at, false); err == nil || !strings.Contains(err.Error(), "TensorBoard") {
		t.Errorf("into a file: %v", err)
	}
}

// The checksum of a record is the masked CRC-32C.
func TestRecordChecksum(t *testing.T) {
	var out bytes.Buffer
	record(&out, []byte("123456789"))
	// 0xe3069283 is the published check value of CRC-32C, that of these digits.
	sum := uint32(0xe3069283)
	want := (sum>>15 | sum<<17) + 0xa282ead8
	if got := binary.LittleEndian.Uint32(out.Bytes()[8+4+9:]); got != want {
		t.Errorf("masked checksum %#x, want %#x", got, want)
	}
}
