package listen

// manyFiles is what is assumed where the system has no limit on open files that we could ask.
const manyFiles = 1 << 20

// DefaultMaxConnections leaves a quarter of the files that the process may open, and at most 8,192, to logs and their indexes: a flood of
// connections must not keep a segment from being opened.
func DefaultMaxConnections() int { return connectionsFor(openFiles()) }

func connectionsFor(files int) int {
	return max(files-min(files/4, 8192), 1)
}
