//go:build !invariants

package peer

// scribbles says whether buffers are overwritten when they are freed; see scribble_on.go. Tests set it.
var scribbles = false
