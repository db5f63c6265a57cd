package onnxruntime

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/tlkit/transfer-learning/internal/ownhome"
)

// childVar names a library that a child process of the tests opens: what kills it kills only the child.
const childVar = "TLKIT_TEST_LIBRARY"

func TestMain(m *testing.M) {
	if path := os.Getenv(childVar); path != "" {
		l, err := FindAt(context.Background(), path)
		if err == nil {
			_, err = Open(context.Background(), l)
		}
		fmt.Println("error:", err)
		os.Exit(0)
	}
	os.Exit(ownhome.Run(m))
}
