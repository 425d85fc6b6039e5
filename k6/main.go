// Command k6 is k6 with Crucible's extension built in: native database sessions that run many queries per
// JavaScript call and report exact histograms to the worker that supervises this process.
package main

import (
	"os"

	"go.k6.io/k6/v2/cmd"

	"crucible.dev/k6/ext"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == ext.AskCommand {
		os.Exit(ext.Ask(os.Args[2], os.Stdin, os.Stdout))
	}
	if len(os.Args) == 2 && os.Args[1] == ext.CeilingCommand {
		os.Exit(ext.Ceiling(os.Stdout))
	}
	ext.Begin()
	cmd.Execute()
}
