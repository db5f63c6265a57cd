package hdf5

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/weights/internal/budget"
)

func TestEveryFixtureIsReadWhole(t *testing.T) {
	for name, b := range fixtures(t, 1<<30) {
		if strings.HasPrefix(name, "r_") {
			continue
		}
		if n := readAll(t, b, false); n < 2 {
			t.Errorf("%s: %d arrays", name, n)
		}
	}
}

// TestChecksums: the newer forms of the format check their descriptions, and a
// changed one is refused even where it would still make sense.
func TestChecksums(t *testing.T) {
	b := fixtures(t, 1<<30)["h_latest.h5.gz"]
	i := bytes.Index(b, []byte("layer_names"))
	if i < 0 {
		t.Fatal("no layer_names in it")
	}
	b[i] = 'L'
	f, err := Open(bytes.NewReader(b), int64(len(b)), budget.ForFile(context.Background(), int64(len(b))))
	if err == nil {
		_, err = f.Root()
	}
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("got %v", err)
	}
	// The reference values of the hash's author, 0 as start.
	for text, want := range map[string]uint32{"": 0xdeadbeef, "Four score and seven years ago": 0x17770551} {
		if got := lookup3([]byte(text)); got != want {
			t.Errorf("lookup3(%q) = %08x, want %08x", text, got, want)
		}
	}
}

// TestStructuresThatBranch: a B-tree in which every node names the one below many
// times would take forever to walk; the budget ends it.
func TestStructuresThatBranch(t *testing.T) {
	b := fixtures(t, 1<<30)["h_very_many.h5.gz"]
	var nodes []int
	for pos := 0; ; {
		i := bytes.Index(b[pos:], []byte("TREE\x00"))
		if i < 0 {
			break
		}
		nodes = append(nodes, pos+i)
		pos += i + 4
	}
	if len(nodes) < 10 {
		t.Fatalf("only %d nodes", len(nodes))
	}
	// Ten levels of 32 children that are all the same, and nothing at the bottom.
	for i, pos := range nodes[:10] {
		binary.LittleEndian.PutUint16(b[pos+6:], 32)
		if i == 9 {
			binary.LittleEndian.PutUint16(b[pos+6:], 0)
		}
		for k := range 32 {
			binary.LittleEndian.PutUint64(b[pos+24+16*k+8:], uint64(nodes[min(i+1, 9)]))
		}
	}
	began := time.Now()
	f, err := Open(bytes.NewReader(b), int64(len(b)), budget.ForFile(context.Background(), int64(len(b))))
	if err != nil {
		t.Fatal(err)
	}
	root, err := f.Root()
	if err != nil {
		t.Fatal(err)
	}
	_, err = root.Links()
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestFletcher32(t *testing.T) {
	// By the definition: two sums modulo 65535 over big-endian words.
	b := []byte("abcdefgh")
	low, high := uint32(0), uint32(0)
	for i := 0; i < len(b); i += 2 {
		low = (low + uint32(b[i])<<8 + uint32(b[i+1])) % 65535
		high = (high + low) % 65535
	}
	if got := fletcher32(b); got != high<<16|low {
		t.Errorf("got %08x, want %08x", got, high<<16|low)
	}
}
