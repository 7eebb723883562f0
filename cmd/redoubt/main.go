// Command redoubt runs and inspects the reference application, Commons. A team's own binary is the same line with their App.
package main

import (
	"github.com/redoubt-dev/redoubt/command"
	"github.com/redoubt-dev/redoubt/commons"
)

func main() { command.Main(commons.App) }
