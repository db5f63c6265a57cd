package card

import (
	"fmt"
	"strconv"
	"strings"
)

// Hub is the metadata that Hugging Face's hub reads at the beginning of a card. Empty fields are
// left out.
type Hub struct {
	Library  string // "tlkit", "onnx", "timm"
	Pipeline string // "image-classification"
	// License is an identifier of the hub, such as "apache-2.0"; "other" needs LicenseName.
	License, LicenseName string
	Base                 string // the model on the hub that it was trained from
	Tags                 []string
	Name                 string // of the model, for its results
	Results              []Result
}

// Result is a measured value.
type Result struct {
	Dataset, Split string
	Metric         string  // an identifier: "accuracy"
	Title          string  // for people
	Value          float64 // as a share of 1, or R²
}

// frontMatter returns the metadata in YAML. Each text is quoted as Go quotes it, which YAML reads the
// same: a YAML library would be linked into every program that exports a head.
func (h Hub) frontMatter() string {
	var b strings.Builder
	add := func(indent int, key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s%s: %s\n", strings.Repeat(" ", indent), key, strconv.Quote(value))
		}
	}
	if h.empty() {
		return ""
	}
	b.WriteString("---\n")
	add(0, "library_name", h.Library)
	add(0, "pipeline_tag", h.Pipeline)
	add(0, "license", h.License)
	add(0, "license_name", h.LicenseName)
	add(0, "base_model", h.Base)
	if len(h.Tags) > 0 {
		b.WriteString("tags:\n")
		for _, t := range h.Tags {
			fmt.Fprintf(&b, "- %s\n", strconv.Quote(t))
		}
	}
	if len(h.Results) > 0 {
		b.WriteString("metrics:\n")
		for _, r := range h.Results {
			fmt.Fprintf(&b, "- %s\n", strconv.Quote(r.Metric))
		}
		b.WriteString("model-index:\n")
		fmt.Fprintf(&b, "- name: %s\n  results:\n", strconv.Quote(h.Name))
		for _, r := range h.Results {
			b.WriteString("  - task:\n")
			add(6, "type", or(h.Pipeline, "image-to-values"))
			b.WriteString("    dataset:\n")
			add(6, "type", or(r.Dataset, "unknown"))
			add(6, "name", or(r.Dataset, "unknown"))
			add(6, "split", r.Split)
			b.WriteString("    metrics:\n")
			fmt.Fprintf(&b, "    - type: %s\n      name: %s\n      value: %s\n", strconv.Quote(r.Metric), strconv.Quote(r.Title), strconv.FormatFloat(r.Value, 'g', 6, 64))
		}
	}
	b.WriteString("---\n")
	return b.String()
}

// empty reports whether there is nothing to say.
func (h Hub) empty() bool {
	return h.Library == "" && h.Pipeline == "" && h.License == "" && h.Base == "" && len(h.Tags)+len(h.Results) == 0
}

func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}
