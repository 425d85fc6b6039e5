// What a page of a Trino answer says, read in one pass without building anything of its rows: where the query goes
// on, what went wrong, and how many rows there are.

package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// trinoFailure is an error of the server, by the words of its protocol.
type trinoFailure struct{ Name, Type, Message string }

func (f *trinoFailure) Error() string { return f.Message }

var errTrinoPage = errors.New("the server's answer ends in the middle")

// keptLimit bounds the text kept of one value: an address or a message.
const keptLimit = 16 << 10

// trinoPage scans the pages of one query, in pieces of any size. Of a page it keeps the texts of its own members and
// of those of `error`; of `data` it counts the elements.
type trinoPage struct {
	rows int64
	// updates says that the rows are no rows but the count of what was changed.
	updates bool

	depth   int
	began   bool
	quoted  bool // inside a text
	escaped bool // behind a backslash in it
	keeps   bool // and it is one to keep
	text    []byte
	member  [3]string // the name of the member that is being read, by depth
	value   bool      // behind its colon

	nextURI                            string
	failed                             bool
	errorName, errorType, errorMessage string
}

// begin gets ready for another page of the same query.
func (p *trinoPage) begin() { *p = trinoPage{rows: p.rows, updates: p.updates, text: p.text[:0]} }

func (p *trinoPage) scan(piece []byte) {
	for i := 0; i < len(piece); i++ {
		if p.quoted {
			i = p.scanText(piece, i)
			continue
		}
		switch piece[i] {
		case '"':
			p.quoted, p.text = true, p.text[:0]
			p.keeps = p.depth == 1 || (p.depth == 2 && p.member[1] == "error")
		case '{', '[':
			p.open(piece[i])
		case '}', ']':
			p.depth--
			p.value = true // what follows is a comma, or another end
		case ':':
			p.value = true
		case ',':
			p.value = false
		}
	}
}

func (p *trinoPage) open(bracket byte) {
	p.began = true
	p.depth++
	p.value = false
	switch {
	case p.depth == 3 && bracket == '[' && p.member[1] == "data":
		p.rows++
	case p.depth == 2 && p.member[1] == "error":
		p.failed = true
	}
}

// scanText goes on in a text from position i and answers the position of its last character here.
func (p *trinoPage) scanText(piece []byte, i int) int {
	if !p.keeps && !p.escaped {
		// Nearly all there is: long texts of rows, without a backslash.
		if end := bytes.IndexByte(piece[i:], '"'); end >= 0 && bytes.IndexByte(piece[i:i+end], '\\') < 0 {
			p.quoted = false
			return i + end
		}
	}
	for ; i < len(piece); i++ {
		c := piece[i]
		switch {
		case p.escaped:
			p.escaped = false
		case c == '\\':
			p.escaped = true
		case c == '"':
			p.quoted = false
			if p.keeps {
				p.keep()
			}
			return i
		}
		if p.keeps && len(p.text) < keptLimit {
			p.text = append(p.text, c)
		}
	}
	return i
}

// keep takes a text that is complete: the name of a member, or the value of one.
func (p *trinoPage) keep() {
	if !p.value {
		p.member[p.depth] = string(p.text)
		return
	}
	switch {
	case p.depth == 1 && p.member[1] == "nextUri":
		p.nextURI = plain(p.text)
	case p.depth == 1 && p.member[1] == "updateType":
		p.updates = true
	case p.depth == 2 && p.member[2] == "errorName":
		p.errorName = plain(p.text)
	case p.depth == 2 && p.member[2] == "errorType":
		p.errorType = plain(p.text)
	case p.depth == 2 && p.member[2] == "message":
		p.errorMessage = plain(p.text)
	}
}

// plain resolves the escapes of a text. One that was cut off inside an escape stays as it is.
func plain(text []byte) string {
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text)
	}
	var resolved string
	if err := json.Unmarshal([]byte(`"`+string(text)+`"`), &resolved); err != nil {
		return string(text)
	}
	return resolved
}

func (p *trinoPage) complete() error {
	if !p.began || p.depth != 0 || p.quoted {
		return errTrinoPage
	}
	return nil
}

func (p *trinoPage) failure() error {
	if !p.failed {
		return nil
	}
	return &trinoFailure{Name: p.errorName, Type: p.errorType, Message: p.errorMessage}
}

// next is the path at which the query goes on, empty at its end. Only the path: where the server is says the plan,
// and nobody else is told the password.
func (p *trinoPage) next() (string, error) {
	if p.nextURI == "" {
		return "", nil
	}
	parsed, err := url.Parse(p.nextURI)
	if err != nil || !strings.HasPrefix(parsed.Path, "/") {
		return "", fmt.Errorf("failed to read where a query continues: %q", p.nextURI)
	}
	return parsed.RequestURI(), nil
}

// answered is how many rows the answer of the whole query has.
func (p *trinoPage) answered() int64 {
	if p.updates {
		return 0
	}
	return p.rows
}
