package vfs

import "unsafe"

// aligned cuts n bytes out of a larger allocation. Go moves no heap memory, so they stay aligned.
func aligned(n int) []byte {
	b := make([]byte, n+BlockSize)
	skip := (BlockSize - int(uintptr(unsafe.Pointer(&b[0]))&(BlockSize-1))) & (BlockSize - 1)
	return b[skip : skip+n : skip+n]
}
