package ext

import (
	"testing"
	"time"
)

func TestTheCeilingOfBothModelsIsMeasured(t *testing.T) {
	for _, model := range []string{"closed", "open"} {
		got, err := measureCeiling(model, 300*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if got.Model != model || got.QueriesPerSecond < 1000 || got.CPUMicrosPerQuery <= 0 || got.Sessions < 2 {
			t.Errorf("%+v", got)
		}
	}
}
