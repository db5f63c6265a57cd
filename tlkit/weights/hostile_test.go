package weights

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// hostileTorch are files that must be refused, and a piece of the sentence that
// says why.
func hostileTorch() map[string]struct {
	file []byte
	why  string
} {
	type row = struct {
		file []byte
		why  string
	}
	w := pText("w")
	wrap := func(body string) []byte { return torchZip(pickled(body), floats(4)) }
	tensor := func(length, offset int64, shape, stride []int64) []byte {
		return wrap(pDict(w, pTensor(length, offset, shape, stride)))
	}
	call := func(module, name, arg string) string {
		return pGlobal(module, name) + "(" + pText(arg) + "tR"
	}
	laughs := "(]q\x00" // each tuple holds the one before it twice
	for i := range 60 {
		laughs += "h" + string([]byte{byte(i)}) + "h" + string([]byte{byte(i)}) + "\x86q" + string([]byte{byte(i + 1)})
	}
	dictLaughs := "(" + pTensor(4, 0, []int64{4}, []int64{1}) + "q\x00"
	for i := range 60 {
		get := "h" + string([]byte{byte(i)})
		dictLaughs += pDict(pText("a"), get, pText("b"), get) + "q" + string([]byte{byte(i + 1)})
	}
	nested := pTensor(4, 0, []int64{4}, []int64{1})
	for range 200 {
		nested = pDict(w, nested)
	}
	good := pDict(w, pTensor(4, 0, []int64{2, 2}, []int64{2, 1}))
	twoPickles := func() []byte {
		var buf bytes.Buffer
		z := zip.NewWriter(&buf)
		for _, n := range []string{"a/data.pkl", "b/data.pkl"} {
			z.Create(n)
		}
		z.Close()
		return buf.Bytes()
	}
	twice := func() []byte {
		var buf bytes.Buffer
		z := zip.NewWriter(&buf)
		for range 2 {
			z.Create("archive/data.pkl")
		}
		z.Close()
		return buf.Bytes()
	}
	return map[string]row{
		"os.system":              {wrap(call("os", "system", "echo hit")), "os.system"},
		"posix.system":           {wrap(call("posix", "system", "echo hit")), "posix.system"},
		"eval":                   {wrap(call("builtins", "eval", "1")), "builtins.eval"},
		"exec, Python 2":         {wrap(call("__builtin__", "execfile", "x")), "attack"},
		"subprocess":             {wrap(call("subprocess", "Popen", "x")), "subprocess.Popen"},
		"runpy":                  {wrap(call("runpy", "_run_code", "x")), "attack"},
		"nested torch.load":      {wrap(call("torch", "load", "http://x")), "torch.load"},
		"torch.hub":              {wrap(call("torch.hub", "load", "x")), "attack"},
		"stack global":           {wrap(pText("os") + pText("system") + "\x93(" + pText("id") + "tR"), "os.system"},
		"in a state dict":        {wrap(pDict(w, pTensor(4, 0, []int64{4}, []int64{1}), pText("x"), call("nt", "system", "x"))), "nt.system"},
		"in legacy":              {torchLegacy(pickled(call("os", "system", "x")), nil, nil), "os.system"},
		"as magic number":        {[]byte(pickled(call("os", "system", "x"))), "os.system"},
		"inst":                   {wrap("(" + pText("x") + "ios\nsystem\n"), "not carried out"},
		"obj":                    {wrap("(" + pGlobal("collections", "OrderedDict") + "o"), "not carried out"},
		"extension":              {wrap("\x82\x01"), "not carried out"},
		"opcode 0xff":            {wrap("\xff"), "not carried out"},
		"dup":                    {wrap("2222"), "not carried out"},
		"protocol 0 int":         {wrap("I5\n"), "not carried out"},
		"protocol 9":             {torchZip("\x80\x09N.", nil), "protocol 9"},
		"empty pickle":           {torchZip("", nil), "unexpected EOF"},
		"no stop":                {torchZip("\x80\x02}", nil), "unexpected EOF"},
		"reduce on nothing":      {wrap("R"), "stack"},
		"reduce a string":        {wrap(pText("x") + ")R"), "a call of a string"},
		"pop nothing":            {wrap("0"), "stack"},
		"tuple on nothing":       {wrap("ttt"), "stack"},
		"odd setitems":           {wrap("}(" + pText("a") + "u"), "without value"},
		"setitem on a tuple":     {wrap(")" + pText("a") + "Ns"), "not to a dict"},
		"append to a dict":       {wrap("}Na"), "appended to a dict"},
		"add to a list":          {wrap("](N\x90"), "not to a set"},
		"memo never written":     {wrap("h\x05"), "never written"},
		"pop through a mark":     {wrap(pText("a") + "(R"), "stack"},
		"storage below a mark":   {wrap(pTuple(pText("storage"), pGlobal("torch", "FloatStorage"), pText("0"), pText("cpu"), "K\x04") + "(Q1"), "stack"},
		"dimension -1, one byte": {wrap(pDict(w, pGlobal("torch._utils", "_rebuild_tensor")+pTuple(pStorage("FloatStorage", "0", 4), "K\x00", "\x8a\x01\xff\x85", "K\x01\x85")+"R")), "negative size"},
		"type from elsewhere":    {wrap(pDict(w, pGlobal("torch._utils", "_rebuild_tensor_v3")+pTuple(pStorage("UntypedStorage", "0", 16), "K\x00", pInts(4), pInts(1), "\x89", "}", pGlobal("mine", "float32"))+"R")), "mine.float32"},
		"left over":              {wrap("NN"), "middle of a value"},
		"marks":                  {wrap(strings.Repeat("(", 5000)), "containers inside each other"},
		"many operations":        {wrap(strings.Repeat("N0", 1_100_000)), "too large for a file of"},
		"string of 8 GB":         {wrap("\x8d\x00\x00\x00\x00\x02\x00\x00\x00abc"), "unexpected EOF"},
		"string of -5":           {wrap("\x8d\xfb\xff\xff\xff\xff\xff\xff\xffabc"), "unexpected EOF"},
		"bytes of 4 GB":          {wrap("B\xff\xff\xff\xffabc"), "unexpected EOF"},
		"huge frame":             {torchZip("\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x40}.", nil), "tensors"},
		"endless name":           {wrap("c" + strings.Repeat("x", 5000)), "1024 bytes"},
		"billion laughs":         {wrap(laughs + "t"), "too large for a file of"},
		"dict laughs":            {wrap(dictLaughs + "t"), "too large for a file of"},
		"nested dicts":           {wrap(nested), "inside each other"},
		"list in itself":         {wrap("]q\x00h\x00a"), "tensors"},
		"no tensors":             {wrap(pDict(w, "K\x05")), "no named tensors"},
		"name too long":          {wrap(pDict(pText(strings.Repeat("n", 600)), pTensor(4, 0, []int64{4}, []int64{1}))), "at most 512"},
		"name not UTF-8":         {wrap(pDict(pText("\xff\xfe"), pTensor(4, 0, []int64{4}, []int64{1}))), "UTF-8"},
		"same name twice":        {wrap(pDict(pText("a"), pDict(pText("b"), pTensor(4, 0, []int64{4}, []int64{1})), pText("a.b"), pTensor(4, 0, []int64{4}, []int64{1}))), "two tensors"},

		"storage too long":     {tensor(5, 0, []int64{4}, []int64{1}), "has 16 bytes, the pickle says 20"},
		"storage too short":    {tensor(3, 0, []int64{3}, []int64{1}), "the pickle says 12"},
		"storage negative":     {tensor(-4, 0, []int64{4}, []int64{1}), "invalid length"},
		"storage huge":         {tensor(1<<62, 0, []int64{4}, []int64{1}), "invalid length"},
		"storage absent":       {torchZip(pickled(good), nil), "not in the file"},
		"two descriptions":     {wrap(pDict(w, pTensor(4, 0, []int64{4}, []int64{1}), pText("v"), pTensor(5, 0, []int64{4}, []int64{1}))), "two ways"},
		"dimension negative":   {tensor(4, 0, []int64{-4}, []int64{1}), "negative size"},
		"dimensions huge":      {tensor(4, 0, []int64{1 << 32, 1 << 32}, []int64{0, 0}), "more elements"},
		"dimensions overflow":  {tensor(4, 0, []int64{1 << 62, 4, 0}, []int64{0, 0, 0}), "more elements"},
		"repeat":               {tensor(4, 0, []int64{1 << 30}, []int64{0}), "repeats"},
		"offset past the end":  {tensor(4, 5, []int64{1}, []int64{1}), "begins at element 5"},
		"offset negative":      {tensor(4, -1, []int64{1}, []int64{1}), "begins at element -1"},
		"one past the end":     {tensor(4, 1, []int64{4}, []int64{1}), "needs element 4"},
		"stride past the end":  {tensor(4, 0, []int64{2, 2}, []int64{3, 1}), "needs element 4"},
		"stride negative":      {tensor(4, 3, []int64{4}, []int64{-1}), "negative stride"},
		"stride overflows":     {tensor(4, 0, []int64{3, 3}, []int64{1 << 62, 1 << 62}), "leaves its storage"},
		"strides missing":      {tensor(4, 0, []int64{2, 2}, []int64{1}), "strides"},
		"nine axes":            {tensor(4, 0, make([]int64, 9), make([]int64, 9)), "9 axes"},
		"shape is text":        {wrap(pDict(w, pGlobal("torch._utils", "_rebuild_tensor_v2")+pTuple(pStorage("FloatStorage", "0", 4), "K\x00", pText("x"), ")", "\x89", "}")+"R")), "instead of a tuple"},
		"storage is text":      {wrap(pDict(w, pGlobal("torch._utils", "_rebuild_tensor_v2")+pTuple(pText("x"), "K\x00", ")", ")", "\x89", "}")+"R")), "instead of a storage"},
		"no arguments":         {wrap(pGlobal("torch._utils", "_rebuild_tensor_v2") + ")R"), "described by 0 values"},
		"storage class odd":    {wrap(pStorage("StringStorage", "0", 4)), "StringStorage"},
		"storage class os":     {wrap(pTuple(pText("storage"), pGlobal("mine", "FloatStorage"), pText("0"), pText("cpu"), "K\x04") + "Q"), "mine.FloatStorage"},
		"persistent text":      {wrap(pText("x") + "Q"), "outside the pickle"},
		"storage view in zip":  {wrap(pDict(w, pGlobal("torch._utils", "_rebuild_tensor")+pTuple(pTuple(pText("storage"), pGlobal("torch", "FloatStorage"), pText("0"), pText("cpu"), "K\x04", pTuple(pText("v"), "K\x01", "K\x02"))+"Q", "K\x00", pInts(2), pInts(1))+"R")), "only legacy files"},
		"view past its parent": {wrap(pTuple(pText("storage"), pGlobal("torch", "FloatStorage"), pText("0"), pText("cpu"), "K\x04", pTuple(pText("v"), "K\x03", "K\x02")) + "Q"), "a view of elements"},

		"big-endian":         {torchZip(pickled(good), map[string][]byte{"byteorder": []byte("big"), "data/0": make([]byte, 16)}), "big-endian"},
		"two pickles":        {twoPickles(), "several data.pkl"},
		"record twice":       {twice(), "two zip records"},
		"overlapping":        {overlapping(), "overlap"},
		"inflates to 64 GB":  {deflated(64<<30, nil), "which deflate cannot"},
		"inflates too far":   {deflated(0, make([]byte, 128<<20)), "a bomb"},
		"inflates past":      {deflated(16, make([]byte, 4096)), "not the 16 bytes"},
		"inflates to little": {deflated(64, make([]byte, 16)), "unexpected EOF"},
		"method 12":          {bytes.ReplaceAll(torchZip(pickled(good), floats(4)), []byte("\x14\x00\x08\x00\x00\x00"), []byte("\x14\x00\x08\x00\x0c\x00")), "zip method 12"},

		"legacy magic":          {[]byte(pickled("\x8a\x0a" + string(torchMagic[:9]) + "\x1a")), "Python pickle"},
		"plain pickle":          {[]byte(pickled(pDict(w, "K\x05"))), "Python pickle (it holds a dict)"},
		"legacy protocol":       {[]byte("\x80\x02\x8a\x0a" + string(torchMagic) + "." + pickled("M\xea\x03")), "1001"},
		"legacy big-endian":     {[]byte("\x80\x02\x8a\x0a" + string(torchMagic) + "." + pickled("M\xe9\x03") + pickled(pDict(pText("little_endian"), "\x89"))), "big-endian"},
		"legacy unknown key":    {torchLegacy(pickled(good), []string{"0", "1"}, lengthAnd(4, 16)), "belongs to no tensor"},
		"legacy key twice":      {torchLegacy(pickled(good), []string{"0", "0"}, append(lengthAnd(4, 16), lengthAnd(4, 16)...)), "listed twice"},
		"legacy key missing":    {torchLegacy(pickled(good), nil, nil), "not in the file"},
		"legacy wrong length":   {torchLegacy(pickled(good), []string{"0"}, lengthAnd(5, 20)), "the pickle says 4"},
		"legacy cut":            {torchLegacy(pickled(good), []string{"0"}, lengthAnd(4, 15)), "cut off"},
		"legacy cut in length":  {torchLegacy(pickled(good), []string{"0"}, []byte{4, 0, 0}), "cut off"},
		"legacy keys are text":  {append([]byte("\x80\x02\x8a\x0a"+string(torchMagic)+"."+pickled("M\xe9\x03")+pickled("}")), pickled(good)+pickled(pText("0"))...), "list of storages"},
		"legacy object is gone": {[]byte("\x80\x02\x8a\x0a" + string(torchMagic) + "." + pickled("M\xe9\x03") + pickled("}")), "unexpected EOF"},
	}
}

// lengthAnd is a legacy storage: its length in elements and n bytes.
func lengthAnd(length uint64, n int) []byte {
	return append([]byte{byte(length), byte(length >> 8), 0, 0, 0, 0, 0, 0}, make([]byte, n)...)
}

// overlapping is a zip in which four large records are the same bytes.
func overlapping() []byte {
	w := pDict(pText("w"), pTensor(1<<18, 0, []int64{1}, []int64{1}))
	b := torchZip(pickled(w), map[string][]byte{"data/0": make([]byte, 1<<20), "data/1": nil, "data/2": nil, "data/3": nil})
	// Let the directory's entries of the empty records point to the large one.
	entry := func(name string) int { return bytes.LastIndex(b, []byte("archive/"+name)) - 46 }
	big := entry("data/0")
	for _, name := range []string{"data/1", "data/2", "data/3"} {
		pos := entry(name)
		copy(b[pos+16:pos+28], b[big+16:big+28]) // checksum and sizes
		copy(b[pos+42:pos+46], b[big+42:big+46]) // where it begins
	}
	return b
}

// deflated is a zip whose storage is deflated content, announced as long as says
// (0: as it is). The tensor in it asks for exactly what is announced.
func deflated(says uint64, content []byte) []byte {
	var packed bytes.Buffer
	w, _ := flate.NewWriter(&packed, flate.BestCompression)
	w.Write(content)
	w.Close()
	if says == 0 {
		says = uint64(len(content))
	}
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	p, _ := z.Create("archive/data.pkl")
	p.Write([]byte(pickled(pDict(pText("w"), pTensor(int64(says/4), 0, []int64{int64(says / 4)}, []int64{1})))))
	r, _ := z.CreateRaw(&zip.FileHeader{Name: "archive/data/0", Method: zip.Deflate, CRC32: crc32.ChecksumIEEE(content),
		CompressedSize64: uint64(packed.Len()), UncompressedSize64: says})
	r.Write(packed.Bytes())
	z.Close()
	return buf.Bytes()
}

func TestHostileTorchFiles(t *testing.T) {
	for name, x := range hostileTorch() {
		t.Run(name, func(t *testing.T) {
			used := allocated(func() {
				f, err := openBytes(x.file)
				if err == nil {
					err = readAll(f)
				}
				checkRefusal(t, err, x.why)
			})
			if most := uint64(160<<20 + 12*len(x.file)); used > most {
				t.Errorf("%d bytes of file made %d bytes of allocations", len(x.file), used)
			}
			if len(x.file) < 1<<16 && used > 128<<20 {
				t.Errorf("a small file made %d bytes of allocations", used)
			}
		})
	}
}

func checkRefusal(t *testing.T, err error, why string) {
	t.Helper()
	switch {
	case err == nil:
		t.Error("it was read")
	case !strings.Contains(err.Error(), why):
		t.Errorf("got %q, want something with %q", err, why)
	case strings.Contains(err.Error(), "internal:"):
		t.Errorf("a panic was caught: %v", err)
	case !strings.HasPrefix(err.Error(), "weights: "):
		t.Errorf("error without the package's name: %q", err)
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestCraftedFilesAreReadable makes sure that what is refused above is refused
// for its one fault, not because the assembler makes nothing readable.
func TestCraftedFilesAreReadable(t *testing.T) {
	whole := pDict(pText("w"), pTensor(4, 0, []int64{2, 2}, []int64{2, 1}))
	view := func(first, length int64) string {
		return pGlobal("torch._utils", "_rebuild_tensor") + pTuple(pTuple(pText("storage"), pGlobal("torch", "FloatStorage"), pText("0"), pText("cpu"), "K\x04", pTuple(pText("v"), pInt(first), pInt(length)))+"Q", "K\x00", pInts(2), pInts(1)) + "R"
	}
	raw := append([]byte{4, 0, 0, 0, 0, 0, 0, 0}, floats(4)["data/0"]...)
	for name, x := range map[string]struct {
		file   []byte
		tensor string
		want   []float32
	}{
		"zip":            {torchZip(pickled(whole), floats(4)), "w", []float32{0, 1, 2, 3}},
		"transposed":     {torchZip(pickled(pDict(pText("w"), pTensor(4, 0, []int64{2, 2}, []int64{1, 2}))), floats(4)), "w", []float32{0, 2, 1, 3}},
		"legacy":         {torchLegacy(pickled(whole), []string{"0"}, raw), "w", []float32{0, 1, 2, 3}},
		"legacy view":    {torchLegacy(pickled(pDict(pText("w"), view(1, 3))), []string{"0"}, raw), "w", []float32{1, 2}},
		"Python 2 pairs": {torchZip(pickled(pGlobal("collections", "OrderedDict")+"(](]("+pText("w")+pTensor(4, 2, []int64{2}, []int64{1})+"eetR"), floats(4)), "w", []float32{2, 3}},
		"one tensor":     {torchZip(pickled(pTensor(4, 0, []int64{1}, []int64{1})), floats(4)), "0", []float32{0}},
		"list":           {torchZip(pickled("]("+pTensor(4, 0, []int64{1}, []int64{1})+"K\x07"+pTensor(4, 3, []int64{1}, []int64{1})+"e"), floats(4)), "2", []float32{3}},
		"model_ema":      {torchZip(pickled(pDict(pText("epoch"), "K\x01", pText("model_ema"), whole)), floats(4)), "w", []float32{0, 1, 2, 3}},
		"defaultdict":    {torchZip(pickled(pGlobal("collections", "defaultdict")+")R("+pText("w")+pTensor(4, 1, []int64{1}, []int64{1})+"u"), floats(4)), "w", []float32{1}},
		"inflated":       {deflated(0, make([]byte, 8)), "w", []float32{0, 0}},
		"a set and text": {torchZip(pickled(pDict(pText("w"), pTensor(4, 1, []int64{1}, []int64{1}), pText("s"), "\x8f("+pText("x")+"\x90", pText("b"), pGlobal("_codecs", "encode")+pTuple(pText("\u00e9"), pText("latin1"))+"R")), floats(4)), "w", []float32{1}},
	} {
		t.Run(name, func(t *testing.T) {
			f := mustOpen(t, x.file)
			tensor, ok := f.Tensor(x.tensor)
			if !ok {
				t.Fatalf("it has %v", f.Names())
			}
			got, err := tensor.Float32()
			if err != nil {
				t.Fatal(err)
			}
			if floatCRC(got) != floatCRC(x.want) {
				t.Errorf("got %v, want %v", got, x.want)
			}
		})
	}
}

// TestCutAnywhere cuts each fixture at every length: no cut may be read as a
// whole file, and none may panic.
func TestCutAnywhere(t *testing.T) {
	for _, name := range []string{"zip.pth", "legacy.pth", "views_legacy.pth", "deflated.pth", "python.safetensors"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for n := range len(b) {
			f, err := openBytes(b[:n])
			if err == nil {
				err = readAll(f)
			}
			if err == nil {
				t.Fatalf("%s cut to %d of %d bytes was read", name, n, len(b))
			}
			if strings.Contains(err.Error(), "internal:") {
				t.Fatalf("%s cut to %d bytes: a panic was caught: %v", name, n, err)
			}
		}
	}
}

// TestFlippedBits flips one bit in each byte of a zip's storages: all that
// change a value are found, as each record has a CRC-32. (Deflate pads its last byte.)
func TestFlippedBits(t *testing.T) {
	for _, name := range []string{"zip.pth", "views.pth", "deflated.pth"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		want := contentCRC(t, mustOpen(t, bytes.Clone(b)))
		flips := 0
		for _, r := range z.File {
			if !strings.Contains(r.Name, "/data/") {
				continue
			}
			pos, _ := r.DataOffset()
			for i := range int64(r.CompressedSize64) {
				b[pos+i] ^= 1 << (i % 8)
				f, err := openBytes(b)
				if err == nil {
					err = readAll(f)
				}
				if err == nil && contentCRC(t, f) != want {
					t.Fatalf("%s: a flipped bit in %s, byte %d, was not found", name, r.Name, i)
				}
				b[pos+i] ^= 1 << (i % 8)
				flips++
			}
		}
		if flips < 100 {
			t.Errorf("%s: only %d bytes flipped", name, flips)
		}
	}
}

// TestFlippedBitBesideAView: a view of a part of a record vouches for the whole
// record, which is what its checksum is for.
func TestFlippedBitBesideAView(t *testing.T) {
	b := torchZip(pickled(pDict(pText("w"), pTensor(8, 2, []int64{2}, []int64{1}), pText("v"), pTensor(8, 4, []int64{2}, []int64{1}))), floats(8))
	if err := readAll(mustOpen(t, b)); err != nil {
		t.Fatal(err)
	}
	pos := bytes.Index(b, floats(8)["data/0"])
	b[pos] ^= 1
	f := mustOpen(t, b)
	checkRefusal(t, readAll(f), "record archive/data/0 is damaged")
}

func contentCRC(t *testing.T, f *File) uint32 {
	t.Helper()
	sum := crc32.NewIEEE()
	for _, name := range f.Names() {
		tensor, _ := f.Tensor(name)
		b, err := tensor.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		sum.Write(b)
	}
	return sum.Sum32()
}

// TestTemporaryBuffers: what a module marks as not persistent is not in its
// state dict, and a parameter that is None is none.
func TestTemporaryBuffers(t *testing.T) {
	tensor := func(pos int64) string { return pTensor(4, pos, []int64{1}, []int64{1}) }
	module := func(state string) string { return pGlobal("mine", "Net") + ")\x81" + state + "b" }
	inner := module(pDict(pText("_parameters"), pDict(pText("weight"), tensor(0), pText("bias"), "N"),
		pText("_buffers"), pDict(pText("mean"), tensor(1), pText("scratch"), tensor(2)),
		pText("_non_persistent_buffers_set"), pGlobal("builtins", "set")+"(]("+pText("scratch")+"etR", pText("_modules"), "}"))
	outer := module(pDict(pText("training"), "\x89", pText("_parameters"), "}", pText("_buffers"), "}", pText("_modules"), pDict(pText("conv"), inner, pText("none"), "N")))
	f := mustOpen(t, torchZip(pickled(outer), floats(4)))
	if got := f.Names(); !slices.Equal(got, []string{"conv.weight", "conv.mean"}) || len(f.Skipped) > 0 {
		t.Errorf("got %v, skipped %v", got, f.Skipped)
	}
}
