//go:build !unix

package testbin

// Freeze kills where processes cannot be stopped for a while.
func (c *Nodes) Freeze(i int) { c.Kill(i) }

// Thaw has a frozen broker go on; there is none.
func (c *Nodes) Thaw(int) {}
