package curves

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strconv"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// line is one line of the file: a header, a point or a mark, depending on which of Run, Metric
// and Mark is present.
type line struct {
	Run    *string         `json:"run,omitempty"`
	Axis   string          `json:"axis,omitempty"`
	Mark   *string         `json:"mark,omitempty"`
	Text   string          `json:"text,omitempty"`
	Step   int             `json:"step"`
	Epoch  *number         `json:"epoch,omitempty"`
	Phase  string          `json:"phase,omitempty"`
	Split  string          `json:"split,omitempty"`
	Metric *metrics.Metric `json:"metric,omitempty"`
	Value  *number         `json:"value,omitempty"`
	N      int             `json:"n,omitempty"`
}

// number is a float64 that JSON can also hold when it is not finite.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	v := float64(n)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte(`"` + strconv.FormatFloat(v, 'g', -1, 64) + `"`), nil
	}
	return json.Marshal(v)
}

func (n *number) UnmarshalJSON(b []byte) error {
	switch s := string(b); s {
	case `"NaN"`:
		*n = number(math.NaN())
	case `"+Inf"`:
		*n = number(math.Inf(1))
	case `"-Inf"`:
		*n = number(math.Inf(-1))
	default:
		var v float64
		if err := json.Unmarshal(b, &v); err != nil {
			return fmt.Errorf("want a number, %q, %q or %q, got %.40s", "NaN", "+Inf", "-Inf", s)
		}
		*n = number(v)
	}
	return nil
}

// maxLine bounds a line: the text of a mark is a sentence, not a document.
const maxLine = 64 << 10

func (r Run) header() line {
	name := r.Name
	return line{Run: &name, Axis: r.Axis}
}

func (p Point) line() line {
	epoch, value := number(p.Epoch), number(p.Value)
	return line{Step: p.Step, Epoch: &epoch, Phase: p.Phase, Split: p.Split, Metric: &p.Metric, Value: &value, N: p.N}
}

func (m Mark) line() line {
	epoch := number(m.Epoch)
	return line{Mark: &m.Kind, Step: m.Step, Epoch: &epoch, Text: m.Text}
}

// Check returns an error if the point could not be drawn or read back.
func (p Point) Check() error {
	switch {
	case p.Metric == "":
		return errors.New("a point without a metric: want loss, accuracy, rate or a name of your own")
	case p.Step < 0 || p.N < 0:
		return fmt.Errorf("point with step %d and n %d: want 0 or more", p.Step, p.N)
	case math.IsNaN(p.Epoch) || math.IsInf(p.Epoch, 0) || p.Epoch < 0:
		return fmt.Errorf("point at epoch %v: want a finite number, 0 or more", p.Epoch)
	}
	return nil
}

// Check returns an error if the mark could not be drawn or read back.
func (m Mark) Check() error {
	switch {
	case m.Kind == "":
		return errors.New("a mark without a kind: want unfreeze, chosen or a name of your own")
	case m.Step < 0:
		return fmt.Errorf("mark at step %d: want 0 or more", m.Step)
	case math.IsNaN(m.Epoch) || math.IsInf(m.Epoch, 0) || m.Epoch < 0:
		return fmt.Errorf("mark at epoch %v: want a finite number, 0 or more", m.Epoch)
	}
	return nil
}

// A line ends in the CRC-32C of what is before it, so that a bit that flips on the disk is noticed
// even in a number: {"step":1,...,"crc":"0a1b2c3d"}. Files of earlier versions have none.
const crcTail = `,"crc":"00000000"}`

func sealed(b []byte) []byte {
	body := b[:len(b)-1] // without the brace
	return fmt.Appendf(nil, `%s,"crc":"%08x"}`, body, crc32.Checksum(body, castagnoli))
}

// checkLine reports whether a line carries a checksum, and returns an error if it is wrong.
func checkLine(b []byte) (found bool, err error) {
	body, tail := b[:max(0, len(b)-len(crcTail))], b[max(0, len(b)-len(crcTail)):]
	if len(body) == 0 || !bytes.HasPrefix(tail, []byte(crcTail[:8])) {
		return false, nil
	}
	if want := fmt.Sprintf(`,"crc":"%08x"}`, crc32.Checksum(body, castagnoli)); want != string(tail) {
		return true, fmt.Errorf("%w: its checksum is wrong", atomicfile.ErrDamaged)
	}
	return true, nil
}

// encode returns one line of the file with its newline.
func encode(l line) ([]byte, error) {
	b, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	b = sealed(b)
	if len(b) >= maxLine {
		return nil, fmt.Errorf("a line of %d bytes: want less than %d", len(b), maxLine)
	}
	return append(b, '\n'), nil
}

// add reads one line into the run.
func (r *Run) add(b []byte) error {
	var l line
	if err := json.Unmarshal(b, &l); err != nil {
		return err
	}
	epoch := 0.0
	if l.Epoch != nil {
		epoch = float64(*l.Epoch)
	}
	switch {
	case l.Metric != nil:
		if l.Value == nil {
			return errors.New("a point without a value")
		}
		p := Point{l.Step, epoch, l.Phase, l.Split, *l.Metric, float64(*l.Value), l.N}
		if err := p.Check(); err != nil {
			return err
		}
		r.Points = append(r.Points, p)
	case l.Mark != nil:
		m := Mark{*l.Mark, l.Step, epoch, l.Text}
		if err := m.Check(); err != nil {
			return err
		}
		r.Marks = append(r.Marks, m)
	case l.Run != nil:
		r.Name, r.Axis = *l.Run, l.Axis
	default:
		return errors.New("neither metric, mark nor run")
	}
	return nil
}
