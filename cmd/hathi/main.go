// Command hathi keeps a PostgreSQL cluster available. Called as patronictl or patroni it stands in for
// those.
package main

import (
	"os"

	"github.com/hathi-ha/hathi/pkg/cli"
)

func main() { os.Exit(cli.Main()) }
