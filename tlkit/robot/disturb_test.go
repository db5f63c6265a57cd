package robot

import (
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/rollout"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Each disturbance changes what it says, and nothing else.
func TestDisturb(t *testing.T) {
	p := transforms.NewPicture(40, 40)
	for i := range p.Pix {
		p.Pix[i] = uint8(i / 3 % 40 * 5) // brighter to the right
	}
	at := func(p *transforms.Picture, x, y int) uint8 { return p.Pix[3*(y*40+x)] }
	second := transforms.NewPicture(40, 40)
	for d, want := range map[Disturbance][2]uint8{ // at 20, 7 in the scenes 0 and 1
		undisturbed: {100, 100}, movedCamera: {110, 90}, dimLamp: {30, 30}, blackPicture: {0, 0}, frozen: {100, 100},
	} {
		e, err := disturb(rollout.Eyes{}, d)
		if err != nil {
			t.Fatal(err)
		}
		for scene, v := range want {
			got := p
			if e.Before != nil {
				if got, err = e.Before(uint64(scene), p); err != nil {
					t.Fatal(err)
				}
			}
			if at(got, 20, 7) != v {
				t.Errorf("%s, scene %d: %d, want %d", d, scene, at(got, 20, 7), v)
			}
		}
		if d == frozen {
			if again, err := e.Before(0, second); err != nil || again != p {
				t.Errorf("a frozen camera shows %v, %v", again, err)
			}
		}
	}
	if e, err := disturb(rollout.Eyes{}, rawBytes); err != nil || e.Preset.Range != [2]float32{0, 255} {
		t.Errorf("%+v, %v", e.Preset, err)
	}
	if _, err := disturb(rollout.Eyes{}, Disturbance("fog")); err == nil || !strings.Contains(err.Error(), "no disturbance") {
		t.Errorf("fog: %v", err)
	}
}
