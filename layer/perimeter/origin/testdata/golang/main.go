package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
)

// main is an application that knows Redoubt by the page docs/assertion.md alone: the rest of this package is taken from there.
func main() {
	edge := &Assertions{KeysURL: os.Getenv("KEYS_URL"), Application: os.Getenv("APPLICATION"), Host: os.Getenv("PUBLIC_HOST")}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("http://%s\n", l.Addr())
	panic(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := edge.WhoAsks(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		json.NewEncoder(w).Encode(map[string]string{"sub": c.Subject, "by": c.By, "ip": c.Client})
	})))
}
