//go:build !unix

package main

import (
	"os"
	"syscall"
)

func childAttributes() *syscall.SysProcAttr { return nil }

// askToStop kills the process: there is no signal to ask with. What it has acknowledged is on disk.
func askToStop(p *os.Process) error { return p.Kill() }
