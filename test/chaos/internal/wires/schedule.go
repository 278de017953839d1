package wires

import "time"

// schedule are the packets on their way to one host, a heap by when they are due.
type schedule struct {
	packets []packet
	number  uint64 // of the next packet, so that those due at once keep their order
	wake    chan struct{}
}

type packet struct {
	due    time.Time
	number uint64
	from   int
	cut    int // how often the pair had been cut when it left
	bytes  []byte
}

func (s *schedule) Len() int { return len(s.packets) }

func (s *schedule) Less(i, j int) bool {
	a, b := s.packets[i], s.packets[j]
	return a.due.Before(b.due) || a.due.Equal(b.due) && a.number < b.number
}

func (s *schedule) Swap(i, j int) { s.packets[i], s.packets[j] = s.packets[j], s.packets[i] }

func (s *schedule) Push(p any) { s.packets = append(s.packets, p.(packet)) }

func (s *schedule) Pop() any {
	last := len(s.packets) - 1
	p := s.packets[last]
	s.packets[last] = packet{}
	s.packets = s.packets[:last]
	return p
}
