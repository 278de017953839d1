package wire

// scribbles is whether this build overwrites released frames.
var scribbles = func() bool {
	b := []byte{1}
	scribble(b)
	return b[0] == 0xDB
}()
