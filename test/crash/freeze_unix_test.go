//go:build unix

package crash

import "syscall"

// freeze stops the process as a machine does that hangs: its connections stay.
func (c *nodes) freeze(i int) { c.signal(i, syscall.SIGSTOP) }
func (c *nodes) thaw(i int)   { c.signal(i, syscall.SIGCONT) }

func (c *nodes) signal(i int, s syscall.Signal) {
	c.t.Helper()
	if err := syscall.Kill(c.procs[i].Pid, s); err != nil {
		c.t.Fatal(err)
	}
}
