package words

import "fmt"

// Printable quotes a file name with characters that could control the terminal.
func Printable(name string) string {
	for _, r := range name {
		if r < ' ' || r == 0x7f || r == '\uFFFD' || r >= 0x80 && r <= 0x9f || r >= 0x202a && r <= 0x202e {
			return fmt.Sprintf("%+q", name)
		}
	}
	return name
}
