// Command enginedoc writes docs/engines.md to its standard output.
package main

import (
	"fmt"

	"crucible.dev/k6/ext/engine"
)

func main() { fmt.Print(engine.Document()) }
