package clip

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/engine"
)

// textBatch is the most texts that are computed together.
const textBatch = 16

// program is the tower, compiled.
type program struct {
	model *Model
	batch int
	kept  *model.Store
	exec  *model.Exec
}

func (m *Model) compile(e *engine.Engine, batch int) (p *program, err error) {
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, fmt.Errorf("compiling: %v", r)
		}
	}()
	if batch < 1 {
		return nil, fmt.Errorf("no text")
	}
	p = &program{model: m, batch: batch, kept: model.NewStore()}
	scope := p.kept.RootScope()
	for _, w := range m.declared.Weights {
		t := m.tensors[w.Name]
		if _, err := scope.CreateVariable(w.Name, tensors.FromFlatDataAndDimensions(t.Data, t.Shape...)); err != nil {
			return nil, err
		}
	}
	p.exec, err = model.NewExec(e.Backend, p.kept, func(scope *model.Scope, x *graph.Node) *graph.Node {
		return backbone.Graph(m.tower, scope, x).Features
	})
	if err != nil {
		p.kept.Finalize()
		return nil, err
	}
	p.exec.WithName("texts:" + m.Row.Name)
	if _, err := p.exec.Compile(shapes.Make(dtypes.Float32, batch, m.tower.trained.context(), m.tower.width)); err != nil {
		p.close()
		return nil, fmt.Errorf("compiling for %d texts: %w", batch, err)
	}
	return p, nil
}

// run returns the vectors of up to p.batch texts.
func (p *program) run(texts [][]int32) (vectors [][]float32, err error) {
	defer func() {
		if r := recover(); r != nil {
			vectors, err = nil, fmt.Errorf("running: %v", r)
		}
	}()
	m, width, context := p.model, p.model.tower.width, p.model.tower.trained.context()
	table := m.tensors[embeddings].Data
	x := make([]float32, p.batch*context*width)
	for i, tokens := range texts {
		for j, token := range tokens {
			copy(x[(i*context+j)*width:][:width], table[int(token)*width:])
		}
	}
	input := tensors.FromFlatDataAndDimensions(x, p.batch, context, width)
	defer input.MustFinalizeAll()
	out, err := p.exec.Call(input)
	if err != nil {
		return nil, err
	}
	defer out[0].MustFinalizeAll()
	states, err := tensors.CopyFlatData[float32](out[0])
	if err != nil {
		return nil, err
	}
	for i, tokens := range texts {
		vectors = append(vectors, m.project(states[(i*context+m.tower.speaks(tokens))*width:][:width]))
	}
	return vectors, nil
}

func (p *program) close() {
	p.exec.Finalize()
	p.kept.Finalize()
}

// speaks is the place of the token that stands for a text: for CLIP the one that ends it, which is the
// largest, for SigLIP the last.
func (t textTower) speaks(tokens []int32) int {
	if t.trained != asCLIP {
		return len(tokens) - 1
	}
	at := 0
	for i, token := range tokens {
		if token > tokens[at] {
			at = i
		}
	}
	return at
}

// project brings the state of that token to the space of the pictures.
func (m *Model) project(state []float32) []float32 {
	matrix := m.tensors[projection].Data // [width,Embed]
	sum := make([]float64, m.Embed)
	for i, s := range state {
		for j := range sum {
			sum[j] += float64(s) * float64(matrix[i*m.Embed+j])
		}
	}
	for j, v := range m.tensors[projectionBias].Data {
		sum[j] += float64(v)
	}
	return unit(sum)
}
