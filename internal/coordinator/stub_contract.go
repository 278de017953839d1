package coordinator

type op struct{}
type reply[A any] struct{}
