package guard

import (
	"context"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// What a guard adds to a run: 48 looks and a verdict.
func BenchmarkCheck(b *testing.B) {
	net, err := zoo.Load(context.Background(), "mobilenetv2", zoo.Options{})
	if err != nil {
		b.Skip(err)
	}
	pictures := prepared(b, net.Preset, clean[0].pictures(enoughPictures, net.Preset.Size))
	for b.Loop() {
		if _, err := Check(net, pictures); err != nil {
			b.Fatal(err)
		}
	}
}
