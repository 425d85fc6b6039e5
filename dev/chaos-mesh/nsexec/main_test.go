package main

import (
	"reflect"
	"testing"
)

func TestParse(t *testing.T) {
	cases := map[string]struct {
		reason    string
		arguments []string
		paths     map[string]string
		command   []string
		refused   bool
	}{
		"stressor": {
			reason:    "a stressor enters the process namespace of its target",
			arguments: []string{"-p", "/proc/7/ns/pid", "--", "stress-ng", "--cpu", "1"},
			paths:     map[string]string{"-p": "/proc/7/ns/pid"},
			command:   []string{"stress-ng", "--cpu", "1"},
		},
		"own files": {
			reason:    "with -l the mount namespace is left alone",
			arguments: []string{"-l", "-m", "/proc/7/ns/mnt", "-n", "/proc/7/ns/net", "--", "ls", "-l"},
			paths:     map[string]string{"-n": "/proc/7/ns/net"},
			command:   []string{"ls", "-l"},
		},
		"no command":     {reason: "there must be something to run", arguments: []string{"-p", "/proc/7/ns/pid"}, refused: true},
		"unknown letter": {reason: "what is not understood is not passed over", arguments: []string{"-U", "/proc/7/ns/user", "--", "ls"}, refused: true},
		"no path":        {reason: "a letter needs its namespace", arguments: []string{"-n"}, refused: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			asked, err := parse(c.arguments)
			if c.refused {
				if err == nil {
					t.Fatalf("%s: %v was accepted", c.reason, c.arguments)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if !reflect.DeepEqual(asked.paths, c.paths) || !reflect.DeepEqual(asked.command, c.command) {
				t.Fatalf("%s: got %v and %v", c.reason, asked.paths, asked.command)
			}
		})
	}
}

func TestRunPassesTheExitCodeOn(t *testing.T) {
	code, err := run(request{command: []string{"sh", "-c", "exit 3"}})
	if code != 3 || err != nil {
		t.Fatalf("got %d, %v", code, err)
	}
}
