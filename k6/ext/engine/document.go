// The page docs/engines.md, made from Kinds, so that it says what the code does. A test says whether it is fresh.

package engine

import (
	"fmt"
	"strings"
)

// Conformance is what every engine has to show on a real server; the suite in conformance_test.go has a test of each name.
var Conformance = []struct{ Name, Shows string }{
	{"Connect", "connects, tells version and settings, counts the rows of an answer and the bytes received"},
	{"WrongPassword", "a wrong password is refused as one, and is in no message"},
	{"MissingDatabase", "a database that does not exist is named as the reason"},
	{"TLS", "`verify` accepts the certificate of the right host and refuses it for another, `insecureSkipVerify` and `disable` connect"},
	{"BadQuery", "a query that the server cannot prepare is refused before the load, with the number of placeholders counted"},
	{"TimeOut", "a query cut off returns at once, and the server no longer runs it"},
	{"MillionRows", "1,000,000 rows, more than 100 MB, are dropped while the heap grows by less than 24 MiB"},
	{"ErrorClasses", "each class of error that this engine can be brought to, from the server itself"},
	{"ParameterTypes", "a value of each type is bound and found"},
	{"OneValue", "a question with one value is answered with it as text, one with any other number of rows or columns with an error"},
	{"GoneAndBack", "the server is killed in the middle of a query: an error of the class connection; refused while it is away; works when it is back"},
}

const documentHead = `<!-- Generated from k6/ext/engine by ` + "`go run ./enginedoc > ../docs/engines.md`" + ` in k6/. Edit that instead. -->
# Engines

What a TestPlan can drive, by the word in ` + "`spec.target.engine`" + `. Each engine is one file in ` + "`k6/ext/engine`" + ` over the database's own
protocol; no rows ever become JavaScript.

`

// Document is the whole page.
func Document() string {
	var text strings.Builder
	text.WriteString(documentHead)
	for _, kind := range Kinds {
		fmt.Fprintf(&text, "## `%s`\n\n%s\n\n| | |\n|---|---|\n", kind.Name, kind.Systems)
		for _, row := range [][2]string{
			{"`spec.target.database`", kind.Database},
			{"authentication", kind.Authenticates},
			{"TLS", "`verify`, `insecureSkipVerify`, `disable`; a private authority as `ca.crt` in the Secret of `credentialsRef`"},
			{"prepared statements", kind.Prepares},
			{"parameters", kind.Parameters},
			{"a query that runs out of time", kind.Cancels},
			{"rows", kind.Drops},
			{"proved on", kind.Proved},
		} {
			fmt.Fprintf(&text, "| %s | %s |\n", row[0], row[1])
		}
		text.WriteString("\n")
		for _, note := range kind.Notes {
			fmt.Fprintf(&text, "- %s\n", note)
		}
		if len(kind.Notes) > 0 {
			text.WriteString("\n")
		}
	}
	text.WriteString("## What is proved, for every engine, on the real server\n\n| test | what it shows |\n|---|---|\n")
	for _, shown := range Conformance {
		fmt.Fprintf(&text, "| `TestConformance/ENGINE/%s` | %s |\n", shown.Name, shown.Shows)
	}
	text.WriteString("\n`cargo xtask test` runs it against real servers, which it starts on loopback and ends again; `cargo xtask engines test trino` runs one\nserver's part. A test whose server is absent fails; none is skipped.\n")
	return text.String()
}
