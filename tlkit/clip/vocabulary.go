package clip

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// vocabularyFile is OpenAI's list of pairs, 1.4 MB, which OpenCLIP's package has too.
var vocabularyFile = fetch.File{
	Name:   "bpe_simple_vocab_16e6.txt.gz",
	SHA256: "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a",
	Bytes:  1356917,
	Sources: []fetch.Source{
		{Wheel: &fetch.Wheel{
			Name: "open_clip_torch", Version: "3.3.0", File: "open_clip/bpe_simple_vocab_16e6.txt.gz",
			SHA256: "c549ad5ed6bfc119cc11105033c0a2b9d7a2a4afeb40a58a09aab3da1a0043ce", Bytes: 1547268,
		}},
		{URL: "https://raw.githubusercontent.com/openai/CLIP/main/clip/bpe_simple_vocab_16e6.txt.gz"},
	},
}

// FetchTokenizer returns the tokenizer with OpenAI's vocabulary, which is fetched once. Of o it uses
// Offline, Answer and Report.
func FetchTokenizer(ctx context.Context, o zoo.Options) (*Tokenizer, error) {
	path, err := vocabularyFile.Get(ctx, fetch.Options{Offline: o.Offline, Report: fetch.Progress(o.Report), Answer: o.Answer})
	if err != nil {
		return nil, err
	}
	return openTokenizer(path)
}

// The vocabularies of SigLIP, which lie beside Google's own files of the networks, and where the authors
// of T5, SigLIP 2 and Gemma keep them. The hashes are those of the hub.
var (
	siglipFile = fetch.File{
		Name: "siglip.spiece.model", SHA256: "1e5036bed065526c3c212dfbe288752391797c4bb1a284aa18c9a0b23fcaf8ec", Bytes: 798330,
		Sources: []fetch.Source{
			{HF: &fetch.HF{Repo: "google/siglip-base-patch16-224", File: "spiece.model"}},
			{URL: "https://storage.googleapis.com/t5-data/vocabs/cc_en.32000/sentencepiece.model"},
		},
	}
	siglip2File = fetch.File{
		Name: "gemma.tokenizer.model", SHA256: "61a7b147390c64585d6c3543dd6fc636906c9af3865a5548f27f31aee1d4c8e2", Bytes: 4241003,
		Sources: []fetch.Source{
			{HF: &fetch.HF{Repo: "google/siglip2-base-patch16-224", File: "tokenizer.model"}},
			{URL: "https://storage.googleapis.com/big_vision/gemma_tokenizer.model"},
			{URL: "https://raw.githubusercontent.com/google/gemma_pytorch/33b652c465537c6158f9a472ea5700e5e770ad3f/tokenizer/tokenizer.model"},
		},
	}
)

// tokenizer returns the one that a network was trained with. For SigLIP it takes the vocabulary that lies
// beside the weights, as in Google's repositories, and else fetches it.
func (t training) tokenizer(ctx context.Context, weights string, o zoo.Options) (tokenizer, error) {
	file, name := siglipFile, "spiece.model"
	switch t {
	case asCLIP:
		return FetchTokenizer(ctx, o)
	case asSigLIP2:
		file, name = siglip2File, "tokenizer.model"
	}
	if beside := filepath.Join(filepath.Dir(weights), name); exists(beside) {
		return openPieces(beside)
	}
	path, err := file.Get(ctx, fetch.Options{Offline: o.Offline, Report: fetch.Progress(o.Report), Answer: o.Answer})
	if err != nil {
		return nil, err
	}
	return openPieces(path)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func openPieces(path string) (*SentencePieces, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := NewSentencePieces(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}
