package command

import (
	"github.com/spf13/cobra"

	"github.com/redoubt-dev/redoubt"
)

func benchCommand(app redoubt.App) *cobra.Command { return &cobra.Command{Use: "bench", Hidden: true} }
