package main

import (
	"os"
	"syscall"
)

// childAttributes put a child into a process group of its own, so that Ctrl-C reaches only its parent, which asks it to stop once and not twice;
// and have it die with its parent, however that ends.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func askToStop(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
