package datasets

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// A file that is no table is named as what it is.
func TestNotATable(t *testing.T) {
	var zipped, tarred, gzipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	if w, err := z.Create("a/1.png"); err != nil {
		t.Fatal(err)
	} else if _, err := w.Write(pngOf(1)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	tw := tar.NewWriter(&tarred)
	if err := tw.WriteHeader(&tar.Header{Name: "a/1.png", Mode: 0o600, Format: tar.FormatUSTAR}); err != nil {
		t.Fatal(err)
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	g := gzip.NewWriter(&gzipped)
	if _, err := g.Write(tarred.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content []byte
		what    string
	}{
		"photos.zip":         {zipped.Bytes(), "a zip archive"},
		"photos":             {zipped.Bytes(), "a zip archive"},
		"labels.xlsx":        {zipped.Bytes(), "an Excel workbook"},
		"photos.tar":         {tarred.Bytes(), "a tar archive"},
		"photos.tar.gz":      {gzipped.Bytes(), "a gzip archive"},
		"photo.jpg":          {jpegOf(1), "a picture (JPEG)"},
		"photo.csv":          {pngOf(1), "a picture (PNG)"},
		"photo.heic":         {[]byte("\x00\x00\x00\x18ftypheic...."), "HEIC"},
		"video.mp4":          {[]byte("\x00\x00\x00\x18ftypisom...."), "a video"},
		"train.parquet":      {[]byte("PAR1...."), "a Parquet file"},
		"annotations.json":   {[]byte(`{"images": []}`), "a JSON file"},
		"annotations.csv":    {[]byte("\n [{\"image\": 1}]"), "a JSON file"},
		"my.safetensors":     {[]byte("\x10\x00\x00\x00\x00\x00\x00\x00{}"), "a file of tensors"},
		"weights.pth":        {zipped.Bytes(), "a PyTorch file"},
		"x.h5":               {[]byte("\x89HDF\r\n\x1a\n"), "an HDF5 file"},
		"page.csv":           {[]byte("<!DOCTYPE html><p>404"), "a web page"},
		"lfs.csv":            {[]byte("version https://git-lfs.github.com/spec/v1\n"), "a Git LFS pointer"},
		"lessons/cell.ipynb": {[]byte(`{"cells": []}`), "a notebook"},
	} {
		file := filepath.Join(files{name: c.content}.write(t), filepath.FromSlash(name))
		_, err := Open(context.Background(), file, Options{})
		if !errors.Is(err, errNotData) || !strings.Contains(err.Error(), c.what) {
			t.Errorf("%s: %v, want %q", name, err, c.what)
		}
	}
	for name, text := range map[string]string{"l.csv": "path,label\na.png,BM\n", "PK.csv": "path,label\na.png,PK\n", "e.csv": ""} {
		file := filepath.Join(files{name: []byte(text)}.write(t), name)
		if _, err := Open(context.Background(), file, Options{}); errors.Is(err, errNotData) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPicturesThatAreSomethingElse(t *testing.T) {
	f := files{}.many("a", 60).many("b", 60)
	f["a/404.jpg"] = []byte("<!DOCTYPE html><p>not found")
	f["a/lfs.jpg"] = []byte("version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
	d := open(t, f.write(t), Options{})
	for rel, want := range map[string]string{"a/404.jpg": "a web page", "a/lfs.jpg": "git lfs pull"} {
		if why := reason(d.Report.Unreadable, rel); !strings.Contains(why, want) {
			t.Errorf("%s: %q, want %q", rel, why, want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	for typed, want := range map[string]string{"hymenopterra": "hymenoptera", "insect": "insects", "insects_hard": "insects-hard", "cats-dogs": "cats_dogs", "Hymenoptera2": "hymenoptera"} {
		if _, err := Open(context.Background(), typed, Options{}); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "did you mean "+want) {
			t.Errorf("%s: %v", typed, err)
		}
	}
	dir := files{}.many("photos/a", 2).many("photos/b", 2).write(t)
	t.Chdir(dir)
	for _, typed := range []string{"photo", "phtos", "Photos2", filepath.Join(dir, "phots"), "phtos/a", "./photso"} {
		if _, err := Open(context.Background(), typed, Options{}); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "photos") {
			t.Errorf("%s: %v", typed, err)
		}
	}
}
