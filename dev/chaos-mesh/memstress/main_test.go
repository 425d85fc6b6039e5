package main

import (
	"os"
	"syscall"
	"testing"
)

func TestParse(t *testing.T) {
	cases := map[string]struct {
		reason  string
		size    string
		bytes   uint64
		refused bool
	}{
		"share":     {reason: "a share is of the machine's memory", size: "25%", bytes: 250},
		"megabytes": {reason: "the daemon's sizes are powers of two", size: "64MB", bytes: 67108864},
		"gibibytes": {reason: "the longer unit is tried first", size: "2GiB", bytes: 2147483648},
		"bare":      {reason: "no unit means bytes", size: "4096", bytes: 4096},
		"too much":  {reason: "nobody has more than everything", size: "101%", refused: true},
		"words":     {reason: "what is no number is refused", size: "muchMB", refused: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bytes, err := parse(c.size, func() (uint64, error) { return 1000, nil })
			if (err != nil) != c.refused || bytes != c.bytes {
				t.Fatalf("%s: got %d, %v", c.reason, bytes, err)
			}
		})
	}
}

func TestMemoryIsHeldUntilTheEnd(t *testing.T) {
	ended := make(chan os.Signal, 1)
	done := make(chan error, 1)
	go func() { done <- take(8<<20, 0, ended) }()
	select {
	case err := <-done:
		t.Fatalf("it ended by itself: %v", err)
	default:
	}
	ended <- syscall.SIGTERM
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
