// Command memstress takes as much memory as it is told and holds it until it is ended. Chaos Mesh's daemon starts it, under the name
// memStress, in the cgroup of its target:
//
//	memStress --workers N --size SIZE [--time DURATION]
//
// SIZE is the memory of all workers together, in bytes (512MB, 1GiB) or as a share of the machine's (25%). Over DURATION it grows from
// nothing; without one it is taken at once.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// step is how much is taken at a time while memory grows.
const step = 4 << 20

// units has the longer names first: MiB ends with B, too.
var units = []struct {
	name  string
	bytes uint64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"KB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30},
	{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"B", 1}, {"", 1},
}

func main() {
	// Memory is only a sum here: one process holds what the workers would.
	flag.Int("workers", 1, "how many workers share the size")
	size := flag.String("size", "256MB", "memory of all workers together")
	growth := flag.Duration("time", 0, "how long it takes to grow")
	flag.Parse()
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	bytes, err := parse(*size, machineMemory)
	if err == nil {
		err = take(bytes, *growth, ended)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "memStress:", err)
		os.Exit(1)
	}
}

// parse reads a size; total is asked only for a share.
func parse(size string, total func() (uint64, error)) (uint64, error) {
	if share, is := strings.CutSuffix(size, "%"); is {
		percent, err := strconv.ParseUint(share, 10, 64)
		if err != nil || percent > 100 {
			return 0, fmt.Errorf("%q is no share of the memory", size)
		}
		all, err := total()
		return all / 100 * percent, err
	}
	for _, unit := range units {
		number, is := strings.CutSuffix(size, unit.name)
		if !is {
			continue
		}
		count, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return 0, fmt.Errorf("%q is no size: %w", size, err)
		}
		return count * unit.bytes, nil
	}
	return 0, fmt.Errorf("%q is no size", size)
}

func machineMemory() (uint64, error) {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("failed to ask for the machine's memory: %w", err)
	}
	return info.Totalram * uint64(info.Unit), nil
}

// take maps the memory, writes to every page of it, and returns when it is told to end.
func take(bytes uint64, growth time.Duration, ended <-chan os.Signal) error {
	if bytes == 0 {
		<-ended
		return nil
	}
	memory, err := syscall.Mmap(-1, 0, int(bytes), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return fmt.Errorf("failed to map %d bytes: %w", bytes, err)
	}
	pause := growth / time.Duration(bytes/step+1)
	for start := 0; start < len(memory); start += step {
		for at := start; at < min(start+step, len(memory)); at += os.Getpagesize() {
			memory[at] = 1
		}
		select {
		case <-ended:
			return nil
		case <-time.After(pause):
		}
	}
	<-ended
	return nil
}
