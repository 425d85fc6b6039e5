// Command k6 is k6 with Crucible's extension built in: native database sessions that run many queries per
// JavaScript call and report exact histograms to the worker that supervises this process.
package main

import (
	"go.k6.io/k6/v2/cmd"

	"crucible.dev/k6/ext"
)

func main() {
	ext.Begin()
	cmd.Execute()
}
