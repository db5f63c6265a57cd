// Package invoke knows what a person has to type to run the command tlkit.
//
// Messages everywhere call it plainly: "run: tlkit setup". Whoever puts a message in front
// of a person passes it through [Hints], so that what is read can be typed: inside a checkout
// tlkit is usually not on the PATH and "go tool tlkit" works, elsewhere it is the other way.
package invoke

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// ModulePath is the module that the command belongs to.
const ModulePath = "github.com/tlkit/transfer-learning"

const plain = "tlkit"

// Name is the command as it works in the current folder: "tlkit" when it is on the PATH,
// "go tool tlkit" in a checkout or where Go started this program, this program's own path
// when that is tlkit, else what works in every module that requires ours.
func Name() string {
	dir, _ := os.Getwd()
	self, _ := os.Executable()
	_, err := exec.LookPath(plain)
	return name(err == nil, dir, self)
}

func name(onPath bool, dir, self string) string {
	base := strings.TrimSuffix(filepath.Base(self), ".exe")
	switch {
	case onPath:
		return plain
	case builtByGo(self) && base == plain, dir != "" && CheckoutAbove(dir) != "":
		return "go tool tlkit"
	case base == plain || strings.HasPrefix(base, plain+"-"): // a copy that set-up keeps
		if strings.ContainsAny(self, " '\"$`\\") {
			return "'" + strings.ReplaceAll(self, "'", `'\''`) + "'"
		}
		return self
	}
	return "go run " + ModulePath + "/cmd/tlkit"
}

var cached = regexp.MustCompile(`/[0-9a-f]{2}/[0-9a-f]{64}-d/[^/]+$`)

// builtByGo says that a program lies in Go's build cache: go tool put it there.
func builtByGo(path string) bool { return cached.MatchString(filepath.ToSlash(path)) }

// CheckoutAbove walks up from dir to a checkout of ours; "" when there is none.
func CheckoutAbove(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	for {
		if IsCheckout(dir) {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

var moduleLine = regexp.MustCompile(`(?m)^module\s+"?([^\s"]+)"?`)

// IsCheckout reports whether dir is the top folder of a checkout of ours.
func IsCheckout(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return false
	}
	m := moduleLine.FindSubmatch(text)
	return m != nil && string(m[1]) == ModulePath
}

// Verbs are the subcommands that messages name.
var Verbs = []string{"setup", "doctor", "uninstall", "lab", "run", "models", "train", "evaluate", "predict", "compare", "verify", "bench"}

var hint = regexp.MustCompile(`(go tool |[\w./-])?\btlkit (\w+|--help)\b`)

// Hints is a message with every command of ours in it as it works here.
func Hints(message string) string {
	if !strings.Contains(message, plain+" ") {
		return message
	}
	here := Name()
	return hint.ReplaceAllStringFunc(message, func(found string) string {
		rest, ok := strings.CutPrefix(found, plain+" ")
		if !ok || rest != "--help" && !slices.Contains(Verbs, rest) {
			return found
		}
		return here + " " + rest
	})
}
