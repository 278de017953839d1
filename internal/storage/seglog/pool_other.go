//go:build !unix

package seglog

import "github.com/rafka-io/rafka/internal/vfs"

func mapChunk() []byte { return vfs.Aligned(chunkBytes) }

func unmapChunk([]byte) {}
