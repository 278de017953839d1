// Package wire reads Kafka's frames within a memory budget and reads and writes the pieces they are made of.
// The Kafka door calls it; it calls nothing of ours. It knows sizes and shapes, not what a request means.
//
// What holds:
//
//	WIR-1  A length is checked against its limit before memory is reserved for it, and memory is reserved only for bytes that
//	       have come or that the connection has shown it sends: claiming 95 MiB costs nothing.
//	WIR-3  The bytes of a Frame stay as they are until Release, and not after: builds with the tag "invariants" scribble over
//	       released frames.
//	WIR-4  Decoding reserves no more than a fixed multiple of the elements that are really in the frame: Shape.Walk counts
//	       them first.
//	WIR-5  The frames of a Budget never hold more than its limit, and none waits for ever: of the frames that are half read,
//	       one can always grow to its end.
//
// How it is tested: frames through readers that give a byte at a time, stop half way or lie; the budget against a count of what
// is held, with random cancellations; every shape against the encoder of another implementation (in kafkasrv, where the table of
// APIs is); fuzzing of frames, headers and shapes.
//
// Files: frame.go what a frame is and its pool, frames.go reading them, budget.go and gate.go the bytes in flight, header.go request
// and response headers, reader.go and append.go the primitive types, shape.go counting before decoding.
package wire
