package clip

import (
	"context"

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
