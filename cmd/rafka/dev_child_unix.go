//go:build unix && !linux

package main

import (
	"os"
	"syscall"
)

// childAttributes put a child into a process group of its own, so that Ctrl-C reaches only its parent, which asks it to stop once and not twice.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func askToStop(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
