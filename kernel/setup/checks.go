package setup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/tlkit/transfer-learning/kernel/doctor"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
	"github.com/tlkit/transfer-learning/kernel/wrapper"
)

// Checks returns doctor's findings about notebooks. A kernel that was never set up is a note; one
// that was and no longer works is a failure.
func Checks(ctx context.Context) []doctor.Check {
	const repair = "tlkit setup"
	kernel := doctor.Check{Name: "kernel", Level: doctor.Optional, Why: "notebooks", Repair: repair}
	spec, err := kernelspec.Find()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kernel.Value = "not set up"
		return []doctor.Check{kernel}
	case err != nil:
		kernel.Level, kernel.Value = doctor.Required, err.Error()
		return []doctor.Check{kernel}
	}
	kernel.Level = doctor.Required
	var wrong []string
	if _, err := os.Stat(spec.Binary()); err != nil {
		wrong = append(wrong, "its program is gone: "+spec.Binary())
	}
	dir, err := os.Getwd()
	if err != nil {
		dir = os.TempDir()
	}
	place, problems := wrapper.Look(ctx, dir, spec.Binary(), func(k string) string {
		if v, ok := spec.Env[k]; ok {
			return v
		}
		return os.Getenv(k)
	})
	for _, p := range problems {
		wrong = append(wrong, p.What)
	}
	t, err := openTools(Bundle{})
	if err == nil && len(problems) == 0 && place.Tools == t.bin() {
		for _, name := range []string{gonb.name, goimports.name} {
			if !t.sound(name) {
				wrong = append(wrong, name+" has changed since it was built")
			}
		}
	}
	kernel.OK, kernel.Value = len(wrong) == 0, kernelspec.Display+", cells compile against "+place.Module.String()
	if !kernel.OK {
		kernel.Value = strings.Join(wrong, "; ")
		if len(problems) > 0 {
			kernel.Repair = problems[0].Repair
		}
	}
	checks := []doctor.Check{kernel}

	completion := doctor.Check{Name: "gopls", Level: doctor.Optional, Why: "completion in cells", Repair: repair}
	if err == nil {
		switch {
		case t.sound(gopls.name):
			completion.OK, completion.Value = true, gopls.version
		case t.building():
			completion.Value, completion.Repair = "is being built", "wait a minute"
		default:
			completion.Value = "not built"
		}
		checks = append(checks, completion)
	}

	lab := doctor.Check{Name: "jupyterlab", Level: doctor.Required, Why: "opening and running notebooks", Repair: repair}
	j, err := FindJupyter(ctx)
	if lab.OK, lab.Value = err == nil, j.String(); err != nil {
		lab.Value = "none, or none that is new enough"
	}
	return append(checks, lab)
}
