package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/fetch"
)

// A file without a public source is taken from the drop folder.
func ExampleFile_Get() {
	cache, err := os.MkdirTemp("", "cache")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(cache)
	os.Setenv("TLKIT_CACHE", cache)
	defer os.Unsetenv("TLKIT_CACHE")

	labels := fetch.File{Name: "labels.txt", SHA256: "39fcae7b3bcd0f4d3ae9c5ddf5cfc1ef4a9e4e06d4b1dd2fbaa4e07da4a5a47e"}
	_, err = labels.Get(context.Background(), fetch.Options{Offline: true})
	fmt.Println("offline:", errors.Is(err, fetch.ErrOffline))

	drop, _ := fetch.Incoming()
	os.WriteFile(filepath.Join(drop, "labels.txt"), []byte("ants\nbees\n"), 0o600)
	_, err = labels.Get(context.Background(), fetch.Options{Offline: true})
	fmt.Println("other content:", errors.Is(err, fetch.ErrHash))

	labels.SHA256, _ = fetch.Sum(context.Background(), filepath.Join(drop, "labels.txt"))
	path, err := labels.Get(context.Background(), fetch.Options{Offline: true})
	fmt.Println(filepath.Base(path), err)
	// Output:
	// offline: true
	// other content: true
	// labels.txt <nil>
}
