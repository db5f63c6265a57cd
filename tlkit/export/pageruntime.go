package export

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"

	"github.com/tlkit/transfer-learning/internal/fetch"
)

// webRuntime is ONNX Runtime for browsers.
var webRuntime = fetch.File{
	Name: "onnxruntime-web-" + webVersion + ".tgz", SHA256: webSHA256, Bytes: webBytes,
	Sources: []fetch.Source{{NPM: &fetch.NPM{Name: "onnxruntime-web", Version: webVersion, SHA256: webSHA256, Bytes: webBytes}}},
}

const (
	webVersion = "1.30.0"
	webSHA256  = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
	webBytes   = 33_106_585
)

// The two files of the package that a page needs: the interface with its WebAssembly loader, and the
// WebAssembly itself.
const (
	webScript     = "ort.wasm.bundle.min.mjs"
	webWASM       = "ort-wasm-simd-threaded.wasm"
	webFileLimit  = 64 << 20
	webFileFolder = "package/dist/"
)

// webFiles are the files of ONNX Runtime in a page.
type webFiles struct {
	script string // defines ort, for a script that follows it in the same file
	wasm   []byte
}

// webRuntime fetches ONNX Runtime for browsers.
func (o PageOptions) webRuntime(ctx context.Context) (*webFiles, error) {
	path, err := webRuntime.Get(ctx, fetch.Options{Offline: o.Offline, Report: fetch.Progress(o.Report), Note: o.Note})
	if err != nil {
		return nil, fmt.Errorf("export: a page needs ONNX Runtime for browsers: %w", err)
	}
	files, err := members(path, webScript, webWASM)
	if err != nil {
		return nil, fmt.Errorf("export: %s: %w", path, err)
	}
	script, err := classic(files[webScript])
	if err != nil {
		return nil, fmt.Errorf("export: %s: %s: %w", path, webScript, err)
	}
	return &webFiles{script: script, wasm: files[webWASM]}, nil
}

// members reads files of the folder dist of an npm package.
func members(archive string, names ...string) (map[string][]byte, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	wanted, out := map[string]bool{}, map[string][]byte{}
	for _, name := range names {
		wanted[webFileFolder+name] = true
	}
	for t := tar.NewReader(z); len(out) < len(names); {
		h, err := t.Next()
		if err == io.EOF {
			return nil, fmt.Errorf("it has %d of the files %q", len(out), names)
		} else if err != nil {
			return nil, err
		}
		if !wanted[h.Name] || h.Typeflag != tar.TypeReg {
			continue
		}
		if h.Size > webFileLimit {
			return nil, fmt.Errorf("%s has %d bytes, want at most %d", h.Name, h.Size, webFileLimit)
		}
		if out[path.Base(h.Name)], err = io.ReadAll(t); err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	return out, nil
}

var (
	exportList = regexp.MustCompile(`export\{([^{}]*)\};\s*(//# sourceMappingURL=.*)?\s*$`)
	exported   = regexp.MustCompile(`([\w$]+) as ([\w$]+)`)
)

// classic turns a module into a script that defines ort. A worker that is made from a text cannot
// import a file beside the page, and in a page that is opened as a file it cannot be a module.
func classic(module []byte) (string, error) {
	at := exportList.FindSubmatchIndex(module)
	if at == nil {
		return "", errors.New("it does not end with the list of what it exports")
	}
	var b bytes.Buffer
	b.Write(bytes.ReplaceAll(module[:at[0]], []byte("import.meta.url"), []byte("self.location.href")))
	b.WriteString("const ort={")
	for _, pair := range exported.FindAllSubmatch(module[at[2]:at[3]], -1) {
		fmt.Fprintf(&b, "%s:%s,", pair[2], pair[1])
	}
	b.WriteString("};\n")
	return b.String(), nil
}

func hexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
