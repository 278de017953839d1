//go:build unix

package testbin

import "syscall"

// Freeze stops broker i as a machine does that hangs: its connections stay.
func (c *Nodes) Freeze(i int) { c.signal(i, syscall.SIGSTOP) }

// Thaw has it go on.
func (c *Nodes) Thaw(i int) { c.signal(i, syscall.SIGCONT) }

func (c *Nodes) signal(i int, s syscall.Signal) {
	c.T.Helper()
	if err := syscall.Kill(c.Procs[i].Pid, s); err != nil {
		c.T.Fatal(err)
	}
}
