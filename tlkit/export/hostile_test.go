package export

import (
	"bytes"
	"testing"

	"github.com/tlkit/transfer-learning/internal/hostile"
	"github.com/tlkit/transfer-learning/tlkit/card"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// hostilePage is a page in which name stands wherever a text from elsewhere may.
func hostilePage(t *testing.T, name string, task datasets.Task) *page {
	t.Helper()
	h := onMobile(t, task, presets["torch"])
	h.Labels[0], h.Data.Name, h.Data.Licence = name, name, name
	h.Backbone.Name, h.Backbone.Origin, h.Backbone.Licence, h.Result.Split = name, name, name, name
	h.Parity = make([]float32, ParityPictures*len(h.Labels))
	return &page{title: name, model: &ONNXFile{Head: h, data: []byte("network")}, runtime: &webFiles{script: "const ort={};", wasm: []byte("wasm")}}
}

// No name becomes markup in what is exported.
func TestHostileNames(t *testing.T) {
	for _, task := range []datasets.Task{datasets.Classes, datasets.Labels, datasets.Values} {
		hostile.HTML(t, "page of "+string(task), func(name string) []byte {
			files, err := hostilePage(t, name, task).files()
			if err != nil {
				t.Fatalf("%q: %v", name, err)
			}
			return files[pageIndex]
		})
	}
	hostile.HTML(t, "page in one file", func(name string) []byte {
		files, err := hostilePage(t, name, datasets.Classes).files()
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		return files[pageSingle]
	})
	hostile.Markdown(t, "licences", func(name string) []byte { return []byte(hostilePage(t, name, datasets.Classes).licences()) })
	hostile.Markdown(t, "card of a file", func(name string) []byte {
		p := hostilePage(t, name, datasets.Classes)
		return withoutFrontMatter(p.model.card(&card.Card{Title: name}, pageModel).Markdown())
	})
	hostile.Markdown(t, "card for PyTorch", func(name string) []byte {
		h := hostilePage(t, name, datasets.Classes).model.Head
		steps, err := torchSteps(h.Preset)
		if err != nil {
			t.Fatal(err)
		}
		made := h.withTorch(&card.Card{Title: name}, &zoo.Twin{Library: "torchvision", Model: "mobilenet_v2", Classifier: "classifier.1"}, steps)
		return withoutFrontMatter(made.Markdown())
	})
}

// withoutFrontMatter returns Markdown after its metadata, which is YAML.
func withoutFrontMatter(text []byte) []byte {
	if _, rest, ok := bytes.Cut(text, []byte("\n---\n")); ok {
		return rest
	}
	return text
}
