package doctor_test

import (
	"fmt"

	"github.com/tlkit/transfer-learning/kernel/doctor"
)

// A check that is not OK comes with what it is needed for and with its repair.
func ExampleReport_Text() {
	r := doctor.Report{OK: true}
	r.Add(
		doctor.Check{Name: "go", OK: true, Level: doctor.Optional, Value: "go1.26.5"},
		doctor.Check{Name: "c compiler", Level: doctor.Optional, Value: "none found",
			Why: "building tlkit with XLA (cgo)", Repair: "apt-get install gcc"},
	)
	fmt.Print(r.Text())
	fmt.Println("OK:", r.OK)
	// Output:
	// ok    go             go1.26.5
	// note  c compiler     none found
	//                      needed for building tlkit with XLA (cgo)
	//                      try: apt-get install gcc
	// OK: true
}
