package serve_test

import (
	"fmt"
	"os"

	"github.com/tlkit/transfer-learning/tlkit/serve"
)

// A server that other machines reach must have a token and a certificate.
func ExampleAddress_Listen() {
	_, err := serve.Address{Addr: "0.0.0.0:8080"}.Listen()
	fmt.Println(err)
	_, err = serve.Address{Addr: "0.0.0.0:8080", Token: "0f1e2d3c4b5a69788796a5b4c3d2e1f0"}.Listen()
	fmt.Println(err)
	l, err := serve.Address{Addr: "127.0.0.1:0"}.Listen()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("this machine alone:", l.Close() == nil)
	// Output:
	// serve: other machines reach 0.0.0.0:8080, and there is no token; set one: --token-file FILE, or TLKIT_SERVE_TOKEN in the environment
	// serve: other machines reach 0.0.0.0:8080, and there is no certificate; pass --tls-cert FILE --tls-key FILE, or --plain-http behind a proxy that has one
	// this machine alone: true
}
