package metrics

import (
	"errors"
	"fmt"
	"math"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Matrix holds scores of shape [Rows, Cols], row after row: one row a picture,
// one column a class.
type Matrix struct {
	Rows, Cols int
	Data       []float32 // Rows*Cols values, row-major
}

// FromRows copies rows of equal length into a Matrix. Values that are not finite float32 numbers
// are reported when the matrix is used.
func FromRows(rows [][]float64) (Matrix, error) {
	if len(rows) == 0 {
		return Matrix{}, errors.New("metrics: no rows: want at least one picture's scores")
	}
	m := Matrix{Rows: len(rows), Cols: len(rows[0])}
	m.Data = make([]float32, 0, m.Rows*m.Cols)
	for i, row := range rows {
		if len(row) != m.Cols {
			return Matrix{}, fmt.Errorf("metrics: row %d has %d scores, row 0 has %d: every row needs one score per class", i, len(row), m.Cols)
		}
		for _, v := range row {
			m.Data = append(m.Data, float32(v))
		}
	}
	return m, nil
}

// Row returns row i of the matrix. It shares the matrix's memory.
func (m Matrix) Row(i int) []float32 { return m.Data[i*m.Cols : (i+1)*m.Cols : (i+1)*m.Cols] }

// Argmax returns the column of the largest score in each row. Of equal scores, the lowest class
// number wins, as everywhere in this package.
func (m Matrix) Argmax() ([]int, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	out := make([]int, m.Rows)
	for i := range out {
		row := m.Row(i)
		for k, v := range row {
			if v > row[out[i]] {
				out[i] = k
			}
		}
	}
	return out, nil
}

// check reports a matrix whose size does not fit its data, or that holds a value that is not
// finite.
func (m Matrix) check() error {
	if m.Rows <= 0 || m.Cols <= 0 {
		return fmt.Errorf("metrics: scores of shape [%d, %d]: want at least one row and one class", m.Rows, m.Cols)
	}
	// Compared by division, because a made-up shape can overflow the product.
	if len(m.Data)%m.Cols != 0 || len(m.Data)/m.Cols != m.Rows {
		return fmt.Errorf("metrics: scores of shape [%d, %d] hold %d values", m.Rows, m.Cols, len(m.Data))
	}
	for i, v := range m.Data {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return advice.New(fmt.Errorf("metrics: score [%d, %d] is %v: want finite numbers", i/m.Cols, i%m.Cols, v), "check the picture and the weights behind it")
		}
	}
	return nil
}

// checkLabels reports labels that do not fit the matrix.
func (m Matrix) checkLabels(labels []int) error {
	if err := m.check(); err != nil {
		return err
	}
	if len(labels) != m.Rows {
		return fmt.Errorf("metrics: %d labels for %d rows of scores", len(labels), m.Rows)
	}
	for i, l := range labels {
		if l < 0 || l >= m.Cols {
			return fmt.Errorf("metrics: label %d of row %d: want 0..%d, one of the %d classes that have a score", l, i, m.Cols-1, m.Cols)
		}
	}
	return nil
}

// checkProbabilities reports rows that are not probabilities. The tolerance of 1e-3 admits the
// float32 and float16 rounding of a thousand classes, but no logits.
func (m Matrix) checkProbabilities(labels []int) error {
	if err := m.checkLabels(labels); err != nil {
		return err
	}
	for i := range m.Rows {
		sum := 0.0
		for k, v := range m.Row(i) {
			if v < 0 || v > 1.001 {
				return advice.New(fmt.Errorf("metrics: probability [%d, %d] is %g: want 0..1", i, k, v), "pass logits through Softmax first")
			}
			sum += float64(v)
		}
		if math.Abs(sum-1) > 1e-3 {
			return advice.New(fmt.Errorf("metrics: the probabilities of row %d sum to %.4g: want 1", i, sum), "pass logits through Softmax first")
		}
	}
	return nil
}

// Softmax turns logits into probabilities, row by row, computed in float64.
func Softmax(logits Matrix) (Matrix, error) {
	if err := logits.check(); err != nil {
		return Matrix{}, err
	}
	out := Matrix{Rows: logits.Rows, Cols: logits.Cols, Data: make([]float32, len(logits.Data))}
	for i := range logits.Rows {
		row, probabilities := logits.Row(i), out.Row(i)
		lse := LogSumExp(row)
		for k, v := range row {
			probabilities[k] = float32(math.Exp(float64(v) - lse))
		}
	}
	return out, nil
}

// LogSumExp returns log(sum(exp(row))) without overflow.
func LogSumExp(row []float32) float64 {
	top := float64(row[0])
	for _, v := range row {
		top = max(top, float64(v))
	}
	sum := 0.0
	for _, v := range row {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum)
}
