package engine

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTheDocumentIsFresh(t *testing.T) {
	written, err := os.ReadFile("../../../docs/engines.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != Document() {
		t.Error("docs/engines.md is stale: run `go run ./enginedoc > ../docs/engines.md` in k6/")
	}
}

// TestTheSchemaHasTheseEnginesAndNoOther: what a TestPlan may ask for is what this k6 can drive.
func TestTheSchemaHasTheseEnginesAndNoOther(t *testing.T) {
	schema, err := os.ReadFile("../../../crds/yaml/testplans.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(schema), "\n                  engine:\n")
	block, _, _ := strings.Cut(after, "\n                  tls:\n")
	list := regexp.MustCompile(`(?s)enum:\n(.*?)type:`).FindStringSubmatch(block)
	if list == nil {
		t.Fatalf("the schema has no list of engines: %s", block)
	}
	allowed := regexp.MustCompile(`[a-z]+`).FindAllString(list[1], -1)
	var driven []string
	for _, kind := range Kinds {
		driven = append(driven, kind.Name)
	}
	slices.Sort(allowed)
	slices.Sort(driven)
	if !slices.Equal(allowed, driven) {
		t.Errorf("the schema allows %v, this k6 drives %v", allowed, driven)
	}
}
