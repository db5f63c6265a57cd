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

// repair is what most findings need.
const repair = "tlkit setup"

// Checks returns doctor's findings about notebooks. A kernel that was never set up is a note; one
// that was and no longer works is a failure.
func Checks(ctx context.Context) []doctor.Check {
	spec, err := kernelspec.Find()
	if err != nil {
		c := doctor.Check{Name: "kernel", Level: doctor.Required, Value: err.Error(), Why: "notebooks", Repair: repair}
		if errors.Is(err, fs.ErrNotExist) {
			c.Level, c.Value = doctor.Optional, "not set up"
		}
		return []doctor.Check{c}
	}
	t, err := openTools(Bundle{})
	checks := []doctor.Check{kernelCheck(ctx, spec, t)}
	if err == nil {
		checks = append(checks, goplsCheck(t))
	}
	return append(checks, labCheck(ctx))
}

// kernelCheck looks for everything that the installed kernel needs. t may be nil.
func kernelCheck(ctx context.Context, spec kernelspec.Spec, t *tools) doctor.Check {
	c := doctor.Check{Name: "kernel", Level: doctor.Required, Why: "notebooks", Repair: repair}
	var wrong []string
	if _, err := os.Stat(spec.Binary()); err != nil {
		wrong = append(wrong, "its program is gone: "+spec.Binary())
	}
	dir, err := os.Getwd()
	if err != nil {
		dir = os.TempDir()
	}
	place, problems := wrapper.Look(ctx, dir, spec.Binary(), func(name string) string {
		if v, ok := spec.Env[name]; ok {
			return v
		}
		return os.Getenv(name)
	})
	for _, p := range problems {
		wrong = append(wrong, p.What)
	}
	if t != nil && len(problems) == 0 && place.Tools == t.bin() {
		for _, name := range []string{gonb.name, goimports.name} {
			if !t.sound(name) {
				wrong = append(wrong, name+" has changed since it was built")
			}
		}
	}
	c.OK, c.Value = len(wrong) == 0, kernelspec.Display+", cells compile against "+place.Module.String()
	if !c.OK {
		c.Value = strings.Join(wrong, "; ")
	}
	if len(problems) > 0 {
		c.Repair = problems[0].Repair
	}
	return c
}

func goplsCheck(t *tools) doctor.Check {
	c := doctor.Check{Name: "gopls", Level: doctor.Optional, Why: "completion in cells", Repair: repair}
	switch {
	case t.sound(gopls.name):
		c.OK, c.Value = true, gopls.version
	case t.building():
		c.Value, c.Repair = "is being built", "wait a minute"
	default:
		c.Value = "not built"
	}
	return c
}

func labCheck(ctx context.Context) doctor.Check {
	c := doctor.Check{Name: "jupyterlab", Level: doctor.Required, Why: "opening and running notebooks", Repair: repair}
	j, err := FindJupyter(ctx)
	if c.OK, c.Value = err == nil, j.String(); err != nil {
		c.Value = "none, or none that is new enough"
	}
	return c
}
