// Command pause stops until it is sent SIGCONT and then becomes the command of its arguments. Chaos Mesh's daemon starts it, moves it
// into the cgroup of its target while it stands still, and reads from /proc/PID/comm when it has gone on: so its file must be named
// pause.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: pause COMMAND [ARGUMENT…]")
		os.Exit(2)
	}
	resumed := make(chan os.Signal, 1)
	signal.Notify(resumed, syscall.SIGCONT)
	<-resumed
	program, err := exec.LookPath(os.Args[1])
	if err == nil {
		err = syscall.Exec(program, os.Args[1:], os.Environ())
	}
	fmt.Fprintf(os.Stderr, "failed to become %s: %v\n", os.Args[1], err)
	os.Exit(127)
}
