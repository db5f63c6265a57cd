package finetune

import "github.com/tlkit/transfer-learning/tlkit/show"

// ShowOn shows the plan, the trials as a table, and the verdict.
func (r *Result) ShowOn(s *show.Screen) error {
	if r == nil {
		return s.Value(r)
	}
	s.Text(r.Plan.String())
	if len(r.Trials) > 0 {
		if err := s.Value(r.Trials); err != nil {
			return err
		}
	}
	if r.Why != "" {
		s.Text(r.Why)
	}
	return nil
}
