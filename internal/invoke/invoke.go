// Package invoke knows what to type to run the command tlkit.
//
// Every message writes the command plainly: "run: tlkit setup". Code that shows a message to a
// person passes it through [Hints], which makes the command work where it is read: inside a
// checkout tlkit is usually not on the PATH but "go tool tlkit" works; elsewhere it is the other
// way round.
package invoke

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// ModulePath is the module that the command belongs to.
const ModulePath = "github.com/tlkit/transfer-learning"

const plain = "tlkit"

// Name returns the command as it works in the current folder: "tlkit" when it is on the PATH,
// "go tool tlkit" in a checkout or where Go started this program, the path of this program when
// it is tlkit, and otherwise what works in every module that requires this one.
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
		return Quote(self)
	}
	return "go run " + ModulePath + "/cmd/tlkit"
}

var harmless = regexp.MustCompile(`^[\pL\pN_@%+=:,./\\-]+$`)

// Quote returns a file name as it has to be typed in a shell.
func Quote(name string) string {
	if runtime.GOOS == "windows" { // cmd.exe knows double quotes only, and no name holds one
		if harmless.MatchString(name) {
			return name
		}
		return `"` + name + `"`
	}
	if strings.HasPrefix(name, "-") { // it is not a flag
		name = "./" + name
	}
	if harmless.MatchString(name) && !strings.Contains(name, `\`) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

var cached = regexp.MustCompile(`/[0-9a-f]{2}/[0-9a-f]{64}-d/[^/]+$`)

// builtByGo reports whether a program is in Go's build cache, where go tool puts it.
func builtByGo(path string) bool { return cached.MatchString(filepath.ToSlash(path)) }

// CheckoutAbove returns the checkout of this module that dir is in; "" when it is in none.
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

// IsCheckout reports whether dir is the top folder of a checkout of this module.
func IsCheckout(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return false
	}
	m := moduleLine.FindSubmatch(text)
	return m != nil && string(m[1]) == ModulePath
}

// Verbs are the subcommands that messages name.
var Verbs = []string{"setup", "doctor", "cache", "uninstall", "lab", "run", "models", "audit", "train", "evaluate", "predict", "features", "parts", "extract", "gather", "neighbours", "why", "map", "search", "guard", "export", "serve", "compare", "curve", "history", "runs", "verify", "bench", "robot", "version"}

var hint = regexp.MustCompile(`(go tool |[\w./-])?\btlkit (\w+|--help)\b`)

// Hints returns a message with every command in it written as it works here.
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
