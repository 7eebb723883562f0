package egress_test

import (
	"fmt"

	"github.com/redoubt-dev/redoubt/layer/input/egress"
)

// A form that takes an address of a user's stores its one spelling, and says no more than that it is not taken.
func ExampleAddress() {
	for _, given := range []string{"HTTPS://Café.example:443/hook#here", "http://169.254.169.254/latest/meta-data/"} {
		address, err := egress.Address(given)
		fmt.Println(address, err != nil)
	}
	// Output:
	// https://xn--caf-dma.example/hook false
	//  true
}
