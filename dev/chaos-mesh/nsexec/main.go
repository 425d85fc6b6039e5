// Command nsexec runs a command in namespaces of another process, given by the letters that Chaos Mesh's daemon uses:
//
//	nsexec [-l] [-n NET] [-p PID] [-i IPC] [-m MNT] -- COMMAND [ARGUMENT…]
//
// Each letter takes the path of a namespace (/proc/PID/ns/…). With -l the command is found and run with the files of the daemon although
// a mount namespace is named: nothing here needs both views at once, so -l leaves the mount namespace alone.
//
// A signal goes on to the command: a daemon that ends a stressor means the stressor, not its starter.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// kinds is what each letter says about its namespace.
var kinds = map[string]int{"-n": unix.CLONE_NEWNET, "-p": unix.CLONE_NEWPID, "-i": unix.CLONE_NEWIPC, "-m": unix.CLONE_NEWNS}

// order has the mount namespace last: the paths of the others are read before it.
var order = []string{"-n", "-i", "-p", "-m"}

func main() {
	asked, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "nsexec:", err)
		os.Exit(2)
	}
	code, err := run(asked)
	if err != nil {
		fmt.Fprintln(os.Stderr, "nsexec:", err)
	}
	os.Exit(code)
}

// request is what the arguments ask for.
type request struct {
	// paths holds the namespace's path for each letter
	paths   map[string]string
	command []string
}

func parse(arguments []string) (request, error) {
	asked := request{paths: map[string]string{}}
	local := false
	for len(arguments) > 0 {
		word := arguments[0]
		arguments = arguments[1:]
		_, known := kinds[word]
		switch {
		case word == "--":
			asked.command = arguments
			arguments = nil
		case word == "-l":
			local = true
		case !known:
			return asked, fmt.Errorf("unknown argument %q", word)
		case len(arguments) == 0:
			return asked, fmt.Errorf("%s needs the path of a namespace", word)
		default:
			asked.paths[word] = arguments[0]
			arguments = arguments[1:]
		}
	}
	if len(asked.command) == 0 {
		return asked, errors.New("no command after --")
	}
	if local {
		delete(asked.paths, "-m")
	}
	return asked, nil
}

// run enters the namespaces with one thread, starts the command from it, and answers the command's exit code.
func run(asked request) (int, error) {
	runtime.LockOSThread()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	if err := enter(asked.paths); err != nil {
		return 1, err
	}
	command := exec.Command(asked.command[0], asked.command[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	// No Pdeathsig: Go takes a parent outside the process namespace for a dead one, and kills the command at once.
	if err := command.Start(); err != nil {
		return 127, fmt.Errorf("failed to start %s: %w", asked.command[0], err)
	}
	go func() {
		for s := range signals {
			_ = command.Process.Signal(s)
		}
	}()
	err := command.Wait()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		if status, ok := ended.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + int(status.Signal()), nil
		}
		return ended.ExitCode(), nil
	}
	if err != nil {
		return 1, fmt.Errorf("failed to wait for %s: %w", asked.command[0], err)
	}
	return 0, nil
}

func enter(paths map[string]string) error {
	// A thread that shares its working directory with others may not change its mounts.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("failed to part from the other threads' working directory: %w", err)
	}
	for _, letter := range order {
		path, named := paths[letter]
		if !named {
			continue
		}
		namespace, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("failed to open namespace %s: %w", path, err)
		}
		if err := unix.Setns(namespace, kinds[letter]); err != nil {
			return fmt.Errorf("failed to enter namespace %s: %w", path, err)
		}
		_ = unix.Close(namespace)
	}
	return nil
}
