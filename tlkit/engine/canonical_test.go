package engine

import "testing"

func TestCanonical(t *testing.T) {
	const a, b = "uuid_321dd072_c078_4fbb_97b0_a88c961ef5ac", "uuid_0b82962e_5986_4986_baf6_19072e46b3b0"
	for program, want := range map[string]string{
		"%x = add(%y, %z)": "%x = add(%y, %z)",
		"main(%acc_" + a + "_sum, %loss_" + b + "_n) { %acc_" + a + "_sum }": "main(%acc_uuid#0_sum, %loss_uuid#1_n) { %acc_uuid#0_sum }",
		"main(%acc_" + b + "_sum, %loss_" + a + "_n) { %loss_" + a + "_n }":  "main(%acc_uuid#0_sum, %loss_uuid#1_n) { %loss_uuid#1_n }",
		// What is not the name of a value stays: it may mean something.
		`custom_call("acc_` + a + `")`: `custom_call("acc_` + a + `")`,
		"%uuid_0, %uuid_321dd072":      "%uuid_0, %uuid_321dd072",
	} {
		if got := string(canonical([]byte(program))); got != want {
			t.Errorf("canonical(%s) = %s, want %s", program, got, want)
		}
	}
}
