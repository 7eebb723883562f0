// Command drill attacks disposable copies of Commons with layers taken out. A team's own is the same lines with their program and, beside
// those that are generated for every application, their attacks. No release contains it.
package main

import (
	"github.com/redoubt-dev/redoubt/drill"
	"github.com/redoubt-dev/redoubt/drill/attack"
)

func main() {
	drill.Main(drill.Program{Package: "github.com/redoubt-dev/redoubt/cmd/redoubt", Attacks: attack.All()})
}
