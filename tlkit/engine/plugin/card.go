package plugin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Card is the NVIDIA hardware as the driver reports it.
type Card struct {
	Driver string   // "570.86.15"; "" under WSL, where the file is not there
	Major  int      // 570; 0 = unknown
	Models []string // "NVIDIA H100 80GB HBM3", if the driver reports them
	text   string
}

// The oldest drivers for the CUDA versions.
const (
	driverCUDA12 = 525
	driverCUDA13 = 580
)

// FindCard looks for an NVIDIA card. Without one it returns nil and no error; for a card that
// cannot be used, the error says why.
func FindCard() (*Card, error) { return cardBelow("/") }

// CardID identifies card and driver: compiled programs are valid for one combination only.
func CardID() string {
	c, err := FindCard()
	if err != nil || c == nil {
		return ""
	}
	return c.text
}

var driverVersion = regexp.MustCompile(`(?m)^NVRM version:.*?\s(\d{3,}(?:\.\d+)+)\s`)

// cardBelow is FindCard for the files below a folder, so that tests can imitate machines.
func cardBelow(root string) (*Card, error) {
	if runtime.GOOS != "linux" {
		return nil, nil
	}
	join := func(elem ...string) string { return filepath.Join(append([]string{root}, elem...)...) }
	there := func(p string) bool { _, err := os.Stat(p); return err == nil }
	// The Windows subsystem shows the card as another device, and no file has the version of
	// its driver.
	if there(join("dev", "dxg")) && there(join("usr", "lib", "wsl", "lib", "libcuda.so.1")) {
		return &Card{text: "wsl"}, nil
	}
	version, verr := os.ReadFile(join("proc", "driver", "nvidia", "version"))
	control := there(join("dev", "nvidiactl"))
	switch {
	case verr != nil && !control:
		return nil, nil
	case verr != nil:
		return nil, advice.New(errors.New("plugin: the NVIDIA device files are there, but the kernel has no NVIDIA driver loaded"), "install the driver (580 or newer), then: nvidia-smi")
	case !control:
		return nil, advice.New(errors.New("plugin: the NVIDIA driver is loaded, but this process sees no card (/dev/nvidiactl is missing)"), "a container must be started with its cards, as in: docker run --gpus all")
	}
	c := &Card{}
	if m := driverVersion.FindStringSubmatch(string(version) + " "); m != nil {
		c.Driver = m[1]
		major, _, _ := strings.Cut(m[1], ".")
		c.Major, _ = strconv.Atoi(major)
	}
	infos, _ := filepath.Glob(join("proc", "driver", "nvidia", "gpus", "*", "information"))
	for _, info := range infos {
		text, err := os.ReadFile(info)
		if err != nil {
			continue
		}
		for _, line := range strings.Split(string(text), "\n") {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "Model" {
				c.Models = append(c.Models, strings.TrimSpace(value))
			}
		}
	}
	c.text = strings.TrimSpace(string(version)) + "\n" + strings.Join(c.Models, "\n")
	if c.Major != 0 && c.Major < driverCUDA12 {
		return nil, advice.New(fmt.Errorf("plugin: the NVIDIA driver %s is too old, CUDA 12 wants %d or newer", c.Driver, driverCUDA12), "update the driver")
	}
	return c, nil
}

// cuda returns the CUDA version that fits the driver: "13", or "12" for older drivers.
func (c *Card) cuda() string {
	if c.Major != 0 && c.Major < driverCUDA13 {
		return "12"
	}
	return "13"
}
