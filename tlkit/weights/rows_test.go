package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Files that ask for far more than their size: each is opened or refused in time and memory in
// proportion to it, with a short error that no terminal obeys. tryFile asserts it.
func TestCostsAreInProportion(t *testing.T) {
	long := strings.Repeat("9", 10_000_000)
	shape := func(n string) []byte {
		return safetensorsFile(`{"w":{"dtype":"F32","shape":[`+n+`],"data_offsets":[0,4]}}`, 4)
	}
	pairs := func(n int) []byte {
		var b strings.Builder
		b.WriteString(`{"__metadata__":{`)
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `"%x":""`, i)
		}
		b.WriteString(`}}`)
		return safetensorsFile(b.String(), 0)
	}
	views := func(n int, stride int64) []byte {
		var items []string
		for i := range n {
			items = append(items, pText(fmt.Sprint("t", i)), pTensor(65536, 0, []int64{65536}, []int64{stride}))
		}
		return torchZip(pickled(pDict(items...)), floats(65536))
	}
	longInt := func(bytes int) string {
		return "\x8b" + string(binary.LittleEndian.AppendUint32(nil, uint32(bytes))) + strings.Repeat("\x7f", bytes)
	}
	nasty := "\x1b[2J\x1b]0;title\a" + strings.Repeat("x", 5_000_000)
	storageOf := func(length string) []byte {
		body := pGlobal("torch._utils", "_rebuild_tensor_v2") + pTuple(pTuple(pText("storage"), pGlobal("torch", "FloatStorage"), pText("0"), pText("cpu"), length)+"Q", pInt(0), pInts(1), pInts(1), "\x89", pGlobal("collections", "OrderedDict")+")R") + "R"
		return torchZip(pickled(pDict(pText("w"), body)), floats(4))
	}
	legacy := func(version string) []byte {
		return []byte("\x80\x02\x8a\x0a" + string(torchMagic) + ".\x80\x02" + version + ".")
	}
	names := func(n int) []byte { // each as long as is allowed, from one text
		var items []string
		for i := range n {
			items = append(items, pText(strings.Repeat("k", 500)+fmt.Sprint(i)), pTensor(4, 0, []int64{4}, []int64{1}))
		}
		return torchZip(pickled(pDict(items...)), floats(4))
	}
	tfjs := func(rest string) []byte { return []byte(`{"modelTopology":null,"weightsManifest":` + rest + `}`) }
	shardAgain := `[{"paths":["` + strings.Repeat(`group1-shard1of2.bin","`, 400) + `group1-shard1of2.bin"],"weights":[{"name":"w","shape":[4],"dtype":"float32"}]}]`

	for _, c := range []struct {
		what string
		file []byte
		why  string // "" = it may be opened
	}{
		{"a storage of a long integer's length", storageOf(longInt(4_000_000)), "an integer of 4000000 bytes"},
		{"a storage of a text's length", storageOf(pText(nasty)), "an invalid length (a string)"},
		{"a format version of a long integer", legacy(longInt(4_000_000)), "an integer of 4000000 bytes"},
		{"a format version of a text", legacy(pText(nasty)), "legacy format a string"},
		{"a format version of 200 bytes", legacy("\x8a\xc8" + strings.Repeat("\x7f", 200)), "an integer of 200 bytes"},
		{"a class of a long name", torchZip(pickled(pGlobal("a\x1b[2J", strings.Repeat("b", 1000))+")R"), nil), "no named tensors"},
		{"a size of ten million digits", shape(long), "a number of 10000000 bytes"},
		{"a fraction of ten million digits", shape("0." + long), "a number of 10000002 bytes"},
		{"metadata of 2.5 million pairs", pairs(2_500_000), "too large for a file of"},
		{"metadata of 150,000 pairs", pairs(150_000), "more than 10000 pairs"},
		{"a header of blanks", safetensorsFile("{"+strings.Repeat(" ", 30<<20)+"}", 0), "are blanks"},
		{"a header of 100 MB", safetensorsFile("{"+strings.Repeat(" ", 100_000_000)+"}", 0), "at most 33554432"},
		{"one name of 30 MB", safetensorsFile(`{"`+strings.Repeat("n", 30<<20)+`":{}}`, 0), "a string of 31457280 bytes"},
		{"a key of a megabyte", safetensorsFile(`{"`+strings.Repeat("\x7f", 1<<20)+`":{}}`, 0), "a string of 1048576 bytes"},
		{"an unknown type of five million letters", safetensorsFile(`{"w":{"dtype":"`+strings.Repeat("F", 5_000_000)+`","shape":[],"data_offsets":[0,0]}}`, 0), "is not known"},
		{"brackets", safetensorsFile(`{"w":`+strings.Repeat("[", 1_000_000), 0), "nested deeper"},
		{"5,000 views of one storage", views(5_000, 1), "the total size of its tensors"},
		{"5,000 views with stride 0", views(5_000, 0), "the total size of its tensors"},
		{"100 views of one storage", views(100, 1), ""},
		{"names of 500 letters", names(20_000), ""},
		{"8 MB of empty objects", tfjs("[" + strings.Repeat("{},", 2_600_000) + "{}]"), "too large for a file of"},
		{"8 MB of numbers", tfjs(`[{"paths":[],"weights":[{"name":"w","dtype":"float32","shape":[` + strings.Repeat("1,", 3_900_000) + `1]}]}]`), "too large for a file of"},
		{"a shard with a NUL", tfjs(`[{"paths":["a\u0000\u001b[2J"],"weights":[]}]`), "only files of its own folder"},
		{"a shard that is not there", tfjs(`[{"paths":["a\u001b[2J` + strings.Repeat("b", 100_000) + `"],"weights":[]}]`), "needs the file"},
		{"a shard named again and again", tfjs(shardAgain), "describes"},
		{"a zip of 60,000 records", manyRecords(60_000), ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			began, before := time.Now(), allocations()
			f, ok := tryFile(t, c.file)
			t.Logf("%d bytes: %v, %d MB of allocations", len(c.file), time.Since(began).Round(time.Millisecond), (allocations()-before)>>20)
			if c.why == "" {
				return
			}
			if ok {
				t.Fatalf("accepted: %d tensors", len(f.Names()))
			}
			_, err := openBytes(c.file)
			checkRefusal(t, err, c.why)
		})
	}
}

func manyRecords(n int) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := range n {
		z.CreateHeader(&zip.FileHeader{Name: fmt.Sprint("a/", i)})
	}
	z.Close()
	return b.Bytes()
}

func TestBoundJSON(t *testing.T) {
	if err := boundJSON([]byte(`{"a\"":[1,-2.5e-7,"\\"],"b":{"c":null,"d":true}}`), 3, memory().src.budget); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{
		`[[[[1]]]]`: "deeper than 3", `"` + strings.Repeat("k", maxJSONKey+1) + `" :1`: "a string of", `["abc\"`: "without a closing quote", `[-` + strings.Repeat("1", 70): "a number of 71 bytes",
	} {
		if err := boundJSON([]byte(text), 3, memory().src.budget); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30s: %v, want %s", text, err, want)
		}
	}
}
