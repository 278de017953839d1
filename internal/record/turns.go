package record

import "runtime"

// turns lets a few at a time compress or decompress. It is computing, so more at once than there are processors would get no further, but
// each holds a window of up to zstdWindow: 400 connections with a batch of a few KB would hold 3 GB.
type turns chan struct{}

// decoding and encoding are apart because a batch that is written in another codec needs both: who holds a turn of encoding may wait for one
// of decoding, never the other way round.
var decoding, encoding = newTurns(), newTurns()

// newTurns has some turns to spare, so that one that takes long (a bomb) does not keep all the others waiting.
func newTurns() turns { return make(turns, 4+runtime.GOMAXPROCS(0)) }

func (t turns) begin() { t <- struct{}{} }
func (t turns) end()   { <-t }
