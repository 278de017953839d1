//go:build invariants

package peer

// scribbles says that buffers are overwritten when they are freed, so that who still reads one finds nonsense at once.
var scribbles = true
