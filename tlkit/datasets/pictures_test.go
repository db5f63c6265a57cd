package datasets

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
)

// A picture gets its hash, and what is no picture a reason.
func TestInspectItem(t *testing.T) {
	folder := testpictures.Shapes(t, []string{"discs"}, 2)
	t.Chdir(folder)
	testpictures.Write(t, "text.jpg", []byte("hello"))
	testpictures.Write(t, "empty.png", nil)
	for path, word := range map[string]string{
		folder + "/discs/01.png": "", "discs/00.png": "",
		"text.jpg": "not a picture", "gone.jpg": "no such file", "discs": "not a regular file", "empty.png": "empty",
	} {
		item := Item{Path: path}
		err := item.Inspect()
		if word != "" {
			if err == nil || !strings.Contains(err.Error(), word) || item.SHA256 != "" {
				t.Errorf("%s: %v and the hash %q, want %q", path, err, item.SHA256, word)
			}
			continue
		}
		data, unread := os.ReadFile(path)
		if sum := sha256.Sum256(data); err != nil || unread != nil || hex.EncodeToString(sum[:]) != item.SHA256 {
			t.Errorf("%s has the hash %q, %v", path, item.SHA256, err)
		}
	}
}
