package metrics

import "fmt"

// Metric is the name of a metric, as written in files.
type Metric string

// The metrics that a model is judged by.
const (
	Accuracy Metric = "accuracy" // share of pictures whose one label is right, 0..1
	MAP      Metric = "map"      // mean average precision of several labels a picture, 0..1
	R2       Metric = "r2"       // mean share of the variance of real values explained, up to 1
)

// UnmarshalText reads the name of a metric. It also accepts the spellings of files written before
// 0.1.0: "mAP" and "R²".
func (m *Metric) UnmarshalText(text []byte) error {
	switch name := string(text); name {
	case "mAP":
		*m = MAP
	case "R²":
		*m = R2
	default:
		*m = Metric(name)
	}
	return nil
}

// Title is the name of the metric for a reader: "accuracy", "mAP", "R²".
func (m Metric) Title() string {
	switch m {
	case MAP:
		return "mAP"
	case R2:
		return "R²"
	}
	return string(m)
}

// Counts reports whether a value of the metric is a fraction of counted pictures.
func (m Metric) Counts() bool { return m == Accuracy }

// Format formats a value of the metric for a reader: "94.8 %", "0.844".
func (m Metric) Format(value float64) string {
	u := m.unit()
	return fmt.Sprintf("%.*f%s", u.digits, u.times*value, u.sign)
}

// FormatInterval formats an interval of the metric without its unit: "90.0-97.3"; "unknown" if it is.
func (m Metric) FormatInterval(i Interval) string {
	if !i.Known() {
		return "unknown"
	}
	return m.unit().ends(i)
}

// unit is how numbers of a metric are printed.
type unit struct {
	times  float64
	digits int
	sign   string // after a value
	points string // after a difference
}

func (m Metric) unit() unit {
	if m == R2 {
		return unit{times: 1, digits: 3}
	}
	return unit{times: 100, digits: 1, sign: " %", points: " points"}
}

// ends formats the two ends of an interval: "90.0-97.3", or "-1.2 to 3.4" where a dash could be
// read as a minus sign.
func (u unit) ends(i Interval) string {
	dash := "-"
	if i.Low < 0 {
		dash = " to "
	}
	return fmt.Sprintf("%.*f%s%.*f", u.digits, u.times*i.Low, dash, u.digits, u.times*i.High)
}
