package zoo

import (
	"slices"
	"strings"
	"testing"
)

// Teachable Machine's export for Keras has its labels in a labels.txt.
func TestNumberedLabels(t *testing.T) {
	got, err := readNumbered(strings.NewReader("0 ants\r\n1 big bees\n\n2 none \n"))
	if want := []string{"ants", "big bees", "none"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if _, err := readNumbered(strings.NewReader("0 ants\n\x1b[2J bees\n")); err == nil || !strings.Contains(err.Error(), `line 2 begins with "\x1b[2J", want 1`) {
		t.Errorf("a line without its number: %v", err)
	}
}
