//go:build integration

// Raw samples end to end: the k6 that goes into the image, a real server, and k6's own CSV and remote write outputs.

package ext

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"crucible.dev/k6/ext/engine"
)

// program builds one of this module's programs.
func program(t *testing.T, source string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", "build", "-o", path, source)
	build.Dir = ".."
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return path
}

// rawRun runs two queries for a second and a half and gives back how many there were, the rows of the CSV without their
// header, and how often the receiver of remote write was written to.
func rawRun(t *testing.T, target engine.Target, queries []map[string]any) (told int64, rows [][]string, writes int64) {
	t.Helper()
	var written atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		if request.Method == http.MethodPost && request.URL.Path == "/api/v1/write" && request.Header.Get("Content-Encoding") == "snappy" {
			written.Add(1)
		}
	}))
	defer receiver.Close()

	scratch := t.TempDir()
	for name, content := range map[string]string{"username": target.Username, "password": target.Password} {
		if err := os.WriteFile(filepath.Join(scratch, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	plan, err := json.Marshal(map[string]any{
		"run": map[string]any{"id": "raw", "plan": "raw", "worker": 0, "workers": 1},
		"target": map[string]any{
			"engine": "mysql", "host": target.Host, "port": target.Port, "database": target.Database, "tls": "disable",
			"usernameFile": filepath.Join(scratch, "username"), "passwordFile": filepath.Join(scratch, "password"),
		},
		"queries": queries, "stages": []map[string]any{{"name": "steady", "durationNanos": 1_500_000_000, "vus": 3, "measured": true}},
		"queryTimeoutNanos": 5_000_000_000, "drainNanos": 2_000_000_000, "sliceNanos": 100_000_000, "seed": 1, "rawSamples": true,
	})
	if err != nil {
		t.Fatal(err)
	}
	engineFile, file := filepath.Join(scratch, "engine.json"), filepath.Join(scratch, "k6_raw_0_0.csv")
	if err := os.WriteFile(engineFile, plan, 0o600); err != nil {
		t.Fatal(err)
	}
	worker := exec.Command(program(t, "./fakeworker"), "-k6", program(t, "."), "-script", "crucible.js", "-engine", engineFile, "-csv", file, "-remote-write", receiver.URL+"/api/v1/write")
	worker.Dir, worker.Stderr = "..", os.Stderr
	said, err := worker.Output()
	if err != nil {
		t.Fatal(err)
	}
	var summary struct{ Queries int64 }
	if err := json.Unmarshal(said, &summary); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	content, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	rows, err = csv.NewReader(content).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(rows[0][:4], ","); got != "metric_name,timestamp,metric_value,check" {
		t.Errorf("the columns are %s", got)
	}
	return summary.Queries, rows[1:], written.Load()
}

func TestMySQLRawSamples(t *testing.T) {
	target, _ := mysqlTarget(t)
	told, rows, writes := rawRun(t, target, []map[string]any{
		{"name": "Point", "sql": "SELECT id, city FROM crucible_k6_orders WHERE id = ?", "weight": 3, "bindings": []map[string]any{{"kind": "intRange", "name": "id", "min": 1, "max": rowsInTable}}},
		{"name": "Wrong", "sql": "SELECT id FROM crucible_k6_orders WHERE id = 7", "weight": 1, "expectRows": map[string]any{"min": 2}},
	})
	counts, sums := map[string]int64{}, map[string]float64{}
	fractions := 0
	for _, row := range rows {
		value, err := strconv.ParseFloat(row[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		counts[row[0]]++
		sums[row[0]] += value
		if strings.HasPrefix(row[0], "sql_duration_") {
			if value <= 0 || value > 5000 {
				t.Errorf("a query took %s ms", row[2])
			}
			if value != float64(int64(value)) {
				fractions++
			}
		}
		if tags := row[len(row)-2]; !strings.Contains(tags, "run_id=fake") || !strings.Contains(tags, "segment=0:1") {
			t.Fatalf("a sample has the tags %s", tags)
		}
	}
	samples := counts["sql_duration_Point"] + counts["sql_duration_Wrong"]
	if samples != told || told < 100 {
		t.Errorf("%d queries are %d samples", told, samples)
	}
	if sums["iterations"] != float64(samples) || counts["iteration_duration"] != samples {
		t.Errorf("one query is one iteration: %d queries, %v iterations, %d durations", samples, sums["iterations"], counts["iteration_duration"])
	}
	if counts["query_errors"] != samples || sums["query_errors"] != float64(counts["sql_duration_Wrong"]) {
		t.Errorf("every wrong answer is an error: %d samples, %v errors, %d wrong", counts["query_errors"], sums["query_errors"], counts["sql_duration_Wrong"])
	}
	if counts["checks"] != samples || sums["checks"] != float64(counts["sql_duration_Point"]) {
		t.Errorf("every right answer passes its check: %d samples, %v passed", counts["checks"], sums["checks"])
	}
	if counts["vus"] == 0 || sums["vus"] != 3*float64(counts["vus"]) {
		t.Errorf("three users were at work: %d samples, sum %v", counts["vus"], sums["vus"])
	}
	if fractions*2 < int(samples) {
		t.Errorf("only %d of %d durations have fractions of a millisecond", fractions, samples)
	}
	if writes == 0 {
		t.Error("nothing was sent by remote write")
	}
}
