package fetch

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type entryFor struct {
	name string
	body []byte
	mode fs.FileMode // 0 = plain file
	link string
}

func makeZip(t testing.TB, entries ...entryFor) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(e.mode | 0o777)
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if e.link != "" {
			w.Write([]byte(e.link))
		} else {
			w.Write(e.body)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func makeTgz(t testing.TB, entries ...entryFor) []byte {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	w := tar.NewWriter(gz)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o777, Size: int64(len(e.body)), Typeflag: tar.TypeReg}
		switch {
		case e.mode&fs.ModeSymlink != 0:
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		case e.mode&fs.ModeDevice != 0:
			h.Typeflag = tar.TypeChar
		case e.mode&fs.ModeNamedPipe != 0:
			h.Typeflag = tar.TypeFifo
		case e.mode&fs.ModeDir != 0:
			h.Typeflag = tar.TypeDir
		case e.link != "":
			h.Typeflag, h.Linkname = tar.TypeLink, e.link
		}
		if h.Typeflag != tar.TypeReg {
			h.Size = 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			w.Write(e.body)
		}
	}
	w.Close()
	gz.Close()
	return b.Bytes()
}

// unpack tries it, and whatever happens looks for traces outside the folder.
func unpack(t *testing.T, archive []byte, l UnpackLimits) (string, error) {
	t.Helper()
	dir := t.TempDir()
	p := filepath.Join(dir, "archive")
	if err := os.WriteFile(p, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	into := filepath.Join(dir, "out", "into")
	err := Unpack(t.Context(), p, into, l)
	around, _ := os.ReadDir(dir)
	beside, _ := os.ReadDir(filepath.Join(dir, "out"))
	if len(around) > 2 || len(beside) > 1 {
		t.Errorf("traces outside the folder: %v %v", around, beside)
	}
	if err != nil && len(beside) != 0 {
		t.Errorf("after an error something is there: %v", beside)
	}
	return into, err
}

func TestUnpack(t *testing.T) {
	entries := []entryFor{
		{name: "package/a.txt", body: []byte("one")},
		{name: "package/deep/er/b.bin", body: someBytes(200_000)},
		{name: "package/dir/", mode: fs.ModeDir},
		{name: "package/empty", body: nil},
		{name: "./c", body: []byte("dot")},
		{name: "grüße/ü.txt", body: []byte("utf")},
	}
	for name, archive := range map[string][]byte{"zip": makeZip(t, entries...), "tgz": makeTgz(t, entries...)} {
		t.Run(name, func(t *testing.T) {
			into, err := unpack(t, archive, UnpackLimits{})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				p := filepath.Join(into, e.name)
				info, err := os.Stat(p)
				if err != nil {
					t.Fatal(err)
				}
				if e.mode.IsDir() != info.IsDir() {
					t.Errorf("%s: folder or not?", e.name)
				}
				if info.Mode().IsRegular() {
					mustHold(t, p, e.body)
					if info.Mode().Perm() != 0o600 {
						t.Errorf("%s: mode %04o, want 0600", e.name, info.Mode().Perm())
					}
				}
			}
			// Only some of it.
			into, err = unpack(t, archive, UnpackLimits{Keep: func(n string) bool { return strings.HasSuffix(n, ".txt") }})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			filepath.WalkDir(into, func(p string, d fs.DirEntry, err error) error {
				if d.Type().IsRegular() {
					got = append(got, d.Name())
				}
				return nil
			})
			if fmt.Sprint(got) != "[ü.txt a.txt]" && fmt.Sprint(got) != "[a.txt ü.txt]" {
				t.Errorf("kept %v", got)
			}
		})
	}
}

func TestUnpackRefuses(t *testing.T) {
	file := entryFor{name: "ok", body: []byte("ok")}
	zeros := make([]byte, 40<<20)
	bad := map[string]struct {
		entries []entryFor
		limits  UnpackLimits
		want    string
	}{
		"climbing":        {[]entryFor{file, {name: "../evil", body: []byte("x")}}, UnpackLimits{}, "leaves the folder"},
		"climbing inside": {[]entryFor{{name: "a/../../evil", body: []byte("x")}}, UnpackLimits{}, "leaves the folder"},
		"absolute":        {[]entryFor{{name: "/tmp/evil", body: []byte("x")}}, UnpackLimits{}, "leaves the folder"},
		"backslash":       {[]entryFor{{name: `..\evil`, body: []byte("x")}}, UnpackLimits{}, "leaves the folder"},
		"drive":           {[]entryFor{{name: "C:evil", body: []byte("x")}}, UnpackLimits{}, "leaves the folder"},
		"link":            {[]entryFor{{name: "l", mode: fs.ModeSymlink, link: "/etc"}, {name: "l/passwd", body: []byte("x")}}, UnpackLimits{}, "symbolic link"},
		"pipe":            {[]entryFor{{name: "p", mode: fs.ModeNamedPipe}}, UnpackLimits{}, "named pipe"},
		"device":          {[]entryFor{{name: "d", mode: fs.ModeDevice | fs.ModeCharDevice}}, UnpackLimits{}, "device"},
		"same name":       {[]entryFor{file, file}, UnpackLimits{}, "twice"},
		"file as folder":  {[]entryFor{file, {name: "ok/x", body: []byte("x")}}, UnpackLimits{}, "ok"},
		"too many":        {[]entryFor{file, {name: "2"}, {name: "3"}}, UnpackLimits{Entries: 2}, "more than 2"},
		"one too large":   {[]entryFor{{name: "big", body: someBytes(1001)}}, UnpackLimits{EntryBytes: 1000}, "more than 1000"},
		"all too large":   {[]entryFor{{name: "a", body: someBytes(600)}, {name: "b", body: someBytes(600)}}, UnpackLimits{TotalBytes: 1000}, ""},
		"bomb":            {[]entryFor{{name: "zeros", body: zeros}}, UnpackLimits{Ratio: 10}, ""},
	}
	for name, c := range bad {
		for kind, archive := range map[string][]byte{"zip": makeZip(t, c.entries...), "tgz": makeTgz(t, c.entries...)} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				_, err := unpack(t, archive, c.limits)
				if err == nil {
					t.Fatal("unpacked")
				}
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("err = %v, want %q in it", err, c.want)
				}
			})
		}
	}
	t.Run("hard link", func(t *testing.T) {
		if _, err := unpack(t, makeTgz(t, file, entryFor{name: "h", link: "ok"}), UnpackLimits{}); err == nil || !strings.Contains(err.Error(), "hard link") {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("bomb behind a filter", func(t *testing.T) {
		skip := UnpackLimits{Ratio: 1, Entries: 10, Keep: func(string) bool { return false }}
		if _, err := unpack(t, makeTgz(t, entryFor{name: "zeros", body: zeros}), skip); err == nil {
			t.Error("40 MB went through")
		}
	})
	t.Run("not an archive", func(t *testing.T) {
		for _, junk := range []string{"", "PK", "<html>proxy says no</html>", "\x1f\x8bnonsense", "PK\x03\x04nonsense"} {
			if _, err := unpack(t, []byte(junk), UnpackLimits{}); err == nil {
				t.Errorf("%q unpacked", junk)
			}
		}
	})
	t.Run("cut", func(t *testing.T) {
		for kind, archive := range map[string][]byte{"zip": makeZip(t, file, entryFor{name: "b", body: someBytes(5000)}), "tgz": makeTgz(t, file, entryFor{name: "b", body: someBytes(5000)})} {
			for _, n := range []int{len(archive) - 1, len(archive) - 20, len(archive) / 2} {
				if _, err := unpack(t, archive[:n], UnpackLimits{}); err == nil {
					t.Errorf("%s cut to %d of %d unpacked", kind, n, len(archive))
				}
			}
		}
	})
	t.Run("flipped bit", func(t *testing.T) {
		a := makeZip(t, entryFor{name: "b", body: someBytes(5000)})
		a[2500] ^= 4
		if _, err := unpack(t, a, UnpackLimits{}); err == nil {
			t.Error("unpacked")
		}
	})
}

func TestUnpackLeavesFullFoldersAlone(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.zip")
	os.WriteFile(p, makeZip(t, entryFor{name: "x", body: []byte("new")}), 0o600)
	into := filepath.Join(dir, "into")
	os.Mkdir(into, 0o700)
	os.WriteFile(filepath.Join(into, "x"), []byte("old"), 0o600)
	if err := Unpack(t.Context(), p, into, UnpackLimits{}); err == nil {
		t.Error("a full folder was unpacked into")
	}
	mustHold(t, filepath.Join(into, "x"), []byte("old"))
	os.Remove(filepath.Join(into, "x"))
	if err := Unpack(t.Context(), p, into, UnpackLimits{}); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Unpack(ctx, p, filepath.Join(dir, "other"), UnpackLimits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

// Whatever the bytes are: no panic, nothing outside the folder, nothing above the limits.
func FuzzUnpack(f *testing.F) {
	file := entryFor{name: "dir/file", body: []byte("hello hello hello")}
	f.Add(makeZip(f, file, entryFor{name: "b/"}))
	f.Add(makeTgz(f, file, entryFor{name: "d/", mode: fs.ModeDir}))
	f.Add(makeTgz(f, entryFor{name: "../x", body: []byte("x")}))
	f.Add(makeZip(f, entryFor{name: "l", mode: fs.ModeSymlink, link: "/etc/passwd"}))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, archive []byte) {
		dir := t.TempDir()
		p := filepath.Join(dir, "archive")
		if err := os.WriteFile(p, archive, 0o600); err != nil {
			t.Fatal(err)
		}
		into := filepath.Join(dir, "into")
		err := Unpack(t.Context(), p, into, UnpackLimits{Entries: 100, EntryBytes: 1 << 20, TotalBytes: 2 << 20})
		entries, _ := os.ReadDir(dir)
		if err != nil && len(entries) != 1 || len(entries) > 2 {
			t.Fatalf("after err = %v the folder holds %v", err, entries)
		}
		var sum int64
		filepath.WalkDir(into, func(p string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // what failed leaves no folder
			}
			if err != nil {
				t.Fatal(err)
			}
			info, err := d.Info()
			if err != nil {
				t.Fatal(err)
			}
			if !info.IsDir() && !info.Mode().IsRegular() {
				t.Fatalf("%s is a %s", p, info.Mode())
			}
			if info.Mode().IsRegular() {
				sum += info.Size()
			}
			return nil
		})
		if sum > 2<<20 {
			t.Fatalf("%d bytes came out", sum)
		}
	})
}
