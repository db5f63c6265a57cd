package kernelspec

import (
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
)

// ModulePath is the module that cells import.
const ModulePath = invoke.ModulePath

// Module is the tlkit that cells compile against: a checkout (Root) or a release (Version).
type Module struct {
	Root    string `json:"root,omitempty"`
	Version string `json:"version,omitempty"`
}

// String returns the module as messages name it: "release v0.1.0".
func (m Module) String() string {
	if m.Root != "" {
		return "the checkout " + m.Root
	}
	if m.Version != "" {
		return "release " + m.Version
	}
	return "no tlkit"
}

// IsCheckout reports whether dir is the top folder of a checkout of this module.
func IsCheckout(dir string) bool { return invoke.IsCheckout(dir) }

// CheckoutAbove returns the checkout of this module that dir is in; "" when it is in none.
func CheckoutAbove(dir string) string { return invoke.CheckoutAbove(dir) }

// BuiltFrom returns the checkout that this program was built from; "" when that was a release,
// or when the checkout has moved or is gone.
func BuiltFrom() string {
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) || strings.Contains(filepath.ToSlash(file), "/"+ModulePath+"@") {
		return ""
	}
	return CheckoutAbove(filepath.Dir(file))
}

// A release has a tagged version. The pseudo-version of a working tree may name a commit that no
// module proxy has.
var (
	released = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)
	pseudo   = regexp.MustCompile(`\d{14}-[0-9a-f]{12}`)
)

// FindModule returns the tlkit that notebooks in dir compile against. It is the first of these:
// the checkout around dir, the checkout or the release that this program was built from, and
// what the installed kernel uses.
func FindModule(dir string) (Module, error) {
	if root := CheckoutAbove(dir); root != "" {
		return Module{Root: root}, nil
	}
	if root := BuiltFrom(); root != "" {
		return Module{Root: root}, nil
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Path == ModulePath {
		if r := info.Main.Replace; r != nil && IsCheckout(r.Path) {
			return Module{Root: r.Path}, nil
		}
		if v := info.Main.Version; released.MatchString(v) && !pseudo.MatchString(v) {
			return Module{Version: v}, nil
		}
	}
	if s, err := Find(); err == nil {
		if root := s.Env[RootVar]; root != "" && IsCheckout(root) {
			return Module{Root: root}, nil
		}
		if v := s.Env[VersionVar]; v != "" {
			return Module{Version: v}, nil
		}
	}
	return Module{}, advice.New(fmt.Errorf("kernelspec: no tlkit for cells to compile against: %s is in no checkout, and the one that this program was built from is gone", dir), "run once inside a checkout: go tool tlkit setup")
}
