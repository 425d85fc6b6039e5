// Complain: what errors looked like. A bounded list of distinct samples per run, counted per second; the exact
// numbers of errors are the recorder's.

package ext

import (
	"sort"
	"strings"
	"sync"
	"unicode/utf8"

	"crucible.dev/k6/ext/engine"
)

const (
	maxComplaints     = 100
	maxMessageLength  = 300
	passwordReplacing = "***"
)

type complaint struct {
	Query string `json:"query"`
	Class string `json:"class"`
	Code  string `json:"code"`
}

type errorSample struct {
	Second uint32 `json:"second"`
	complaint
	Message string `json:"message"`
	Count   uint64 `json:"count"`
}

// complaints keeps the first message of each distinct query, class and code.
type complaints struct {
	password string

	mutex    sync.Mutex
	messages map[complaint]string
	counts   map[uint32]map[complaint]uint64
}

func newComplaints(password string) *complaints {
	return &complaints{password: password, messages: map[complaint]string{}, counts: map[uint32]map[complaint]uint64{}}
}

func (c *complaints) add(second uint32, query string, failure engine.Failure) {
	key := complaint{Query: query, Class: string(failure.Class), Code: failure.Code}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if _, known := c.messages[key]; !known {
		if len(c.messages) == maxComplaints {
			return
		}
		c.messages[key] = shorten(c.withoutPassword(failure.Message))
	}
	if c.counts[second] == nil {
		c.counts[second] = map[complaint]uint64{}
	}
	c.counts[second][key]++
}

// upTo takes out everything that happened before the end of a second.
func (c *complaints) upTo(second uint32) []errorSample {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var samples []errorSample
	for at, counts := range c.counts {
		if at > second {
			continue
		}
		for key, count := range counts {
			samples = append(samples, errorSample{Second: at, complaint: key, Message: c.messages[key], Count: count})
		}
		delete(c.counts, at)
	}
	sort.Slice(samples, func(i, j int) bool {
		a, b := samples[i], samples[j]
		if a.Second != b.Second {
			return a.Second < b.Second
		}
		if a.Query != b.Query {
			return a.Query < b.Query
		}
		if a.Class != b.Class {
			return a.Class < b.Class
		}
		return a.Code < b.Code
	})
	return samples
}

// withoutPassword is a second lock on a door that no driver is known to leave open.
func (c *complaints) withoutPassword(message string) string {
	if c.password == "" {
		return message
	}
	return strings.ReplaceAll(message, c.password, passwordReplacing)
}

func shorten(message string) string { return cut(message, maxMessageLength) }

// cut keeps at most so many bytes of a text, and no half of a character.
func cut(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text
	}
	for !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}
