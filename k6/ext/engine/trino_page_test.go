package engine

import (
	"database/sql/driver"
	"errors"
	"testing"
)

const trinoAnswer = `{
  "id": "20260131_x", "infoUri": "http://h/ui", "nextUri": "http:\/\/h:8080\/v1\/statement\/executing\/q\/y1\/2",
  "columns": [{"name": "data", "typeSignature": {"rawType": "row", "arguments": [{"value": "]"}]}}],
  "data": [["]}\"", [1, [2]], {"error": {"message": "no"}}, null], [], ["\\", "nextUri"]],
  "stats": {"state": "RUNNING", "nextUri": "no", "rootStage": {"subStages": [[[]]]}}, "warnings": []
}`

const trinoError = `{"id":"q","error":{"message":"Table \"t\" does\nnot exist \u00e9","errorCode":46,"errorName":"TABLE_NOT_FOUND","errorType":"USER_ERROR",
  "errorLocation":{"lineNumber":1},"failureInfo":{"type":"x","message":"inner","stack":["a"],"errorInfo":{"name":"n"}}},"stats":{"state":"FAILED"}}`

func TestTrinoPagesAreReadInPiecesOfAnySize(t *testing.T) {
	for size := 1; size <= len(trinoAnswer); size++ {
		var page trinoPage
		for from := 0; from < len(trinoAnswer); from += size {
			page.scan([]byte(trinoAnswer[from:min(from+size, len(trinoAnswer))]))
		}
		next, err := page.next()
		if page.rows != 3 || page.failure() != nil || page.complete() != nil || next != "/v1/statement/executing/q/y1/2" || err != nil {
			t.Fatalf("in pieces of %d: %d rows, %v, %v, %q, %v", size, page.rows, page.failure(), page.complete(), next, err)
		}
	}
}

func TestTrinoErrorsAreReadInPiecesOfAnySize(t *testing.T) {
	for size := 1; size <= len(trinoError); size++ {
		var page trinoPage
		for from := 0; from < len(trinoError); from += size {
			page.scan([]byte(trinoError[from:min(from+size, len(trinoError))]))
		}
		var failure *trinoFailure
		if !errors.As(page.failure(), &failure) || *failure != (trinoFailure{"TABLE_NOT_FOUND", "USER_ERROR", "Table \"t\" does\nnot exist é"}) {
			t.Fatalf("in pieces of %d: %+v", size, page.failure())
		}
	}
}

func TestTrinoRowsAddUpOverPagesAndChangesAreNoRows(t *testing.T) {
	var page trinoPage
	page.scan([]byte(`{"data":[[1],[2]]}`))
	page.begin()
	page.scan([]byte(`{"data":[[3]]}`))
	if page.answered() != 3 {
		t.Errorf("%d rows", page.answered())
	}
	page = trinoPage{}
	page.scan([]byte(`{"data":[[5]],"updateType":"INSERT","updateCount":5}`))
	if page.answered() != 0 {
		t.Errorf("%d rows of an INSERT", page.answered())
	}
}

func TestTrinoAnswersThatAreNoPagesAreNoticed(t *testing.T) {
	for _, text := range []string{"", " ", "{", `{"data":[[1]`, `{"a":"`, `"text"`} {
		var page trinoPage
		page.scan([]byte(text))
		if page.complete() == nil {
			t.Errorf("%q is complete", text)
		}
	}
	page := trinoPage{nextURI: "mailto:x"}
	if _, err := page.next(); err == nil {
		t.Error("an address without a path leads nowhere")
	}
}

func TestTrinoRowsCostNothing(t *testing.T) {
	page, rows := &trinoPage{text: make([]byte, 0, 64)}, []byte(`[1,"a text that is long enough","b"],[2,"","\""],`)
	page.scan([]byte(`{"data":[`))
	if allocations := testing.AllocsPerRun(100, func() { page.scan(rows) }); allocations > 0 {
		t.Errorf("scanning costs %v allocations", allocations)
	}
}

func TestTrinoParametersAreLiteralsOfTheirTypes(t *testing.T) {
	cases := []struct {
		kind  string
		value driver.Value
		want  string
	}{
		{"bigint", int64(-5), "-5"}, {"decimal(20,4)", int64(5), "5"}, {"varchar", int64(5), "CAST('5' AS varchar)"}, {"unknown", int64(5), "5"},
		{"double", 1.5, "1.5E+00"}, {"real", 0.25, "CAST('0.25' AS real)"}, {"unknown", 1e300, "1E+300"},
		{"varchar", "it's", "'it''s'"}, {"unknown", "x", "'x'"}, {"char(4)", "ab", "CAST('ab' AS char(4))"}, {"date", "2026-01-31", "CAST('2026-01-31' AS date)"},
		{"timestamp(3) with time zone", "t", "CAST('t' AS timestamp(3) with time zone)"}, {"json", `{"a":1}`, `json_parse('{"a":1}')`},
		{"array(integer)", "[1]", "CAST(json_parse('[1]') AS array(integer))"}, {"varchar(5)", "x'); DROP TABLE t --", "'x''); DROP TABLE t --'"},
		{"boolean", true, "true"}, {"varchar", false, "CAST('false' AS varchar)"}, {"bigint", nil, "NULL"},
	}
	for _, tc := range cases {
		if got := string(appendTrino(nil, tc.kind, tc.value)); got != tc.want {
			t.Errorf("%v as %s: %s, want %s", tc.value, tc.kind, got, tc.want)
		}
	}
	if got := string(appendExecute(nil, []string{"bigint", "varchar"}, []driver.Value{int64(1), "a"})); got != "EXECUTE crucible USING 1,'a'" {
		t.Error(got)
	}
}

func FuzzTrinoPage(f *testing.F) {
	f.Add([]byte(trinoAnswer))
	f.Add([]byte(trinoError))
	f.Add([]byte(`]]]]}}}}"a":"b"`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var page trinoPage
		page.scan(text)
		_, _ = page.next()
		_ = page.failure()
	})
}
