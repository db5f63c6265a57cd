package bench

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/finetune"
)

// Peer is software that does the same work in turn with tlkit, or another way of ours to do it.
type Peer string

// The peers.
const (
	torch       Peer = "torch"       // PyTorch, operation by operation
	torchJIT    Peer = "torch_jit"   // PyTorch: traced, frozen, optimised for inference
	onnxRuntime Peer = "onnxruntime" // Python's, on PyTorch's own export or on the same file
	plainGoNB   Peer = "gonb"
	otherWay    Peer = "tlkit"
)

// Figure is one measured number, next to those of the peers from the same run.
type Figure struct {
	What  string         `json:"what"`            // kind: "forward", "step", "job", ...
	Name  string         `json:"name"`            // what was measured, in words
	Model string         `json:"model,omitempty"` // name in the zoo
	Batch int            `json:"batch,omitempty"` // pictures a call or a step
	Norms finetune.Norms `json:"norms,omitempty"` // of a step
	Form  string         `json:"form,omitempty"`  // how ours ran, see engine.Form
	Ours  float64        `json:"ours"`
	Unit  string         `json:"unit"`
	Rate  float64        `json:"rate,omitempty"` // Ours, if it is pictures/s

	Peers map[Peer]float64 `json:"peers,omitempty"` // in the same unit
	By    map[Peer]string  `json:"by,omitempty"`    // their versions

	// Of networks side by side, see Options.Networks:
	CPU       float64          `json:"cpu,omitempty"`       // ms of processor time a picture
	PeersCPU  map[Peer]float64 `json:"peers_cpu,omitempty"` // the same
	Compiled  float64          `json:"compiled,omitempty"`  // s, for compiling when nothing is cached
	Cached    float64          `json:"cached,omitempty"`    // s, for finding the program in the cache
	Processor string           `json:"processor,omitempty"`

	Note string `json:"note,omitempty"`
	Key  string `json:"-"` // its name in Measurement.Seconds
}

// Ratio returns how many times better ours is than a peer; below 1 it is worse. It is 0 for a peer
// that was not measured.
func (f Figure) Ratio(p Peer) float64 {
	switch v := f.Peers[p]; {
	case v == 0 || f.Ours == 0:
		return 0
	case f.lessIsBetter():
		return v / f.Ours
	default:
		return f.Ours / v
	}
}

// RatioCPU is Ratio for the processor time of a picture.
func (f Figure) RatioCPU(p Peer) float64 {
	if f.CPU == 0 {
		return 0
	}
	return f.PeersCPU[p] / f.CPU
}

func (f Figure) lessIsBetter() bool {
	return f.Unit == "s" || f.Unit == milliseconds || f.Unit == "MiB"
}

// against adds a peer's value.
func (f Figure) against(p Peer, by string, value float64) Figure {
	f.Peers, f.By = with(f.Peers, p, value), with(f.By, p, by)
	return f
}

func with[V any](m map[Peer]V, p Peer, v V) map[Peer]V {
	out := map[Peer]V{p: v}
	for k, old := range m {
		if k != p {
			out[k] = old
		}
	}
	return out
}

// peers returns the peers that were measured, in the order of the constants.
func (f Figure) peers() (out []Peer) {
	for _, p := range []Peer{torch, torchJIT, onnxRuntime, plainGoNB, otherWay} {
		if f.Peers[p] != 0 {
			out = append(out, p)
		}
	}
	return out
}

// String returns the figure as one line of a table.
func (f Figure) String() string {
	s := fmt.Sprintf("%-46s %8.2f %s", f.Name, f.Ours, f.Unit)
	for _, p := range f.peers() {
		s += fmt.Sprintf("   %s %.2f, ratio %.2f", f.By[p], f.Peers[p], f.Ratio(p))
	}
	if f.CPU != 0 {
		s += fmt.Sprintf("   processor time %.1f ms", f.CPU)
		for _, p := range f.peers() {
			s += fmt.Sprintf(", %s %.1f, ratio %.2f", f.By[p], f.PeersCPU[p], f.RatioCPU(p))
		}
	}
	if f.Compiled != 0 {
		s += fmt.Sprintf("   compiled in %.1f s, from the cache in %.2f s", f.Compiled, f.Cached)
	}
	if f.Note != "" {
		s += "   " + f.Note
	}
	return s
}

// Markdown returns figures that were measured on m as the table of the README, without the parts of
// the job.
func (m Machine) Markdown(figures []Figure) string {
	var columns []Peer
	for _, p := range []Peer{torch, torchJIT, onnxRuntime, plainGoNB, otherWay} {
		if slices.ContainsFunc(figures, func(f Figure) bool { return f.Peers[p] != 0 }) {
			columns = append(columns, p)
		}
	}
	titles := map[Peer]string{torch: "PyTorch", torchJIT: "PyTorch, frozen jit", onnxRuntime: "ONNX Runtime", plainGoNB: "plain GoNB", otherWay: "compared with"}
	var b strings.Builder
	line := func(cells ...string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	b.WriteString(m.withPeers(figures).String() + "\n\n")
	head, rule := []string{"what", "tlkit"}, []string{"---", "---"}
	for _, p := range columns {
		head, rule = append(head, titles[p]), append(rule, "---")
	}
	line(append(head, "command")...)
	line(append(rule, "---")...)
	for _, f := range figures {
		if f.What == jobPart {
			continue
		}
		row := []string{strings.ReplaceAll(f.Name, "|", "/"), number(f.Ours) + " " + f.Unit}
		python := ""
		for _, p := range columns {
			if f.Peers[p] == 0 {
				row = append(row, "")
				continue
			}
			if p != plainGoNB && p != otherWay {
				python = " --python PY"
			}
			row = append(row, fmt.Sprintf("%s: %.2f×", number(f.Peers[p]), f.Ratio(p)))
		}
		line(append(row, "`tlkit bench "+f.What+python+"`")...)
	}
	return b.String()
}

// number writes three digits.
func number(v float64) string {
	switch {
	case v >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case v >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
