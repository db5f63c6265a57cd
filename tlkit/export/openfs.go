package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// The folder of a program that has a head and its network inside, and the files in it.
const (
	modelFolder = "model"
	packingList = "files.json"
	packedHead  = "head.safetensors"
)

// packed is the content of files.json.
type packed struct {
	Weights string   `json:"weights"` // the backbone's file
	Files   []string `json:"files"`   // all files beside the head, by their slash paths
}

// check reports a list that does not suit its folder.
func (p *packed) check() error {
	known := false
	for _, name := range p.Files {
		if !fs.ValidPath(name) || !filepath.IsLocal(filepath.FromSlash(name)) || name == packedHead {
			return fmt.Errorf("the file %q in the list of the model, want one in its folder", name)
		}
		known = known || name == p.Weights
	}
	if !known {
		return fmt.Errorf("no weights %q in the list of the model", p.Weights)
	}
	return nil
}

// OpenFS opens the head and the network in the folder model of fsys, which [Classifier.WriteGo] has
// written, on the best engine that this program can use: plain Go, if it was built without cgo. They
// are unpacked into a temporary folder, which is removed before OpenFS returns. Errors are those of
// [Read] and [Head.Open]. A licence of the weights for non-commercial use only was agreed to when the
// head was exported.
//
//	//go:embed all:model
//	var model embed.FS
func (Options) OpenFS(ctx context.Context, fsys fs.FS) (c *Classifier, err error) {
	list, err := packingListOf(fsys)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	dir, err := os.MkdirTemp("", "tlkit-model-*")
	if err != nil {
		return nil, advice.New(fmt.Errorf("export: the network is unpacked into a temporary folder: %w", err), "let TMPDIR name a folder that can be written to")
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, name := range append([]string{packedHead}, list.Files...) {
		if err := unpack(fsys, path.Join(modelFolder, name), filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			return nil, fmt.Errorf("export: %w", err)
		}
	}
	h, err := Read(filepath.Join(dir, packedHead))
	if err != nil {
		return nil, err
	}
	e, err := engine.Open(ctx, engine.Options{})
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	c, err = h.Open(ctx, e, Options{Zoo: zoo.Options{Weights: filepath.Join(dir, filepath.FromSlash(list.Weights)), Offline: true, NonCommercial: true}})
	if err != nil {
		e.Close()
	}
	return c, err
}

func packingListOf(fsys fs.FS) (*packed, error) {
	text, err := fs.ReadFile(fsys, path.Join(modelFolder, packingList))
	if err != nil {
		return nil, err
	}
	list := &packed{}
	if err := json.Unmarshal(text, list); err != nil {
		return nil, fmt.Errorf("%s: %w", packingList, err)
	}
	return list, list.check()
}

// unpack copies a file of fsys.
func unpack(fsys fs.FS, from, to string) (err error) {
	in, err := fsys.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
