package config

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Static is the settings a broker starts with: what its files, environment and flags say, over the defaults. It never changes after Load.
// The typed getters take names from the table and panic on others, or on a name of another type: that is a mistake in the program. Their
// values were validated, so they cannot fail (CFG-3).
type Static struct {
	values map[string]setting // only what was set, under the names that are no aliases
}

type setting struct {
	value  string
	origin string // such as server.properties:12
}

// Set returns what was set for a key, and where. ok is false if the default holds.
func (s *Static) Set(name string) (value, origin string, ok bool) {
	v, ok := s.values[name]
	return v.value, v.origin, ok
}

// raw is the value that holds; ok is false if that is null.
func (s *Static) raw(name string) (value string, ok bool) {
	if v, ok := s.values[name]; ok {
		return v.value, true
	}
	k := mustLookup(Broker, name)
	return k.Default, !k.NoDefault
}

func (s *Static) typed(name string, types ...Type) (string, bool) {
	k := mustLookup(Broker, name)
	for _, t := range types {
		if k.Type == t {
			return s.raw(name)
		}
	}
	panic("config: " + name + " is of type " + k.Type.String())
}

// String is a setting of type STRING, CLASS or PASSWORD; empty if it is null.
func (s *Static) String(name string) string {
	v, _ := s.typed(name, String, Class, Password)
	return v
}

// Bool is a setting of type BOOLEAN.
func (s *Static) Bool(name string) bool {
	v, _ := s.typed(name, Boolean)
	return strings.EqualFold(v, "true")
}

// Int is a setting of type SHORT, INT or LONG; 0 if it is null.
func (s *Static) Int(name string) int64 {
	v, ok := s.typed(name, Short, Int, Long)
	if !ok {
		return 0
	}
	return parseInt(v)
}

// Float is a setting of type DOUBLE.
func (s *Static) Float(name string) float64 {
	v, _ := s.typed(name, Double)
	return parseFloat(v)
}

// List is the elements of a setting of type LIST; nil if it is null or empty.
func (s *Static) List(name string) []string {
	v, _ := s.typed(name, List)
	return splitList(v)
}

// Duration is a setting that is a time, in the unit its name ends with (ms, seconds, minutes, hours; ms if none); 0 if it is null. What is too
// long for a Duration is the longest, 292 years.
func (s *Static) Duration(name string) time.Duration {
	n := s.Int(name)
	return duration(n, unitOf(name))
}

// LogDirs are the data directories: log.dirs, else log.dir.
func (s *Static) LogDirs() []string {
	if dirs := s.List("log.dirs"); len(dirs) > 0 {
		return dirs
	}
	return s.List("log.dir")
}

// NodeID is node.id, or broker.id where only that was set.
func (s *Static) NodeID() int32 {
	if _, _, ok := s.Set("node.id"); !ok {
		if id, _, ok := s.Set("broker.id"); ok && parseInt(id) >= 0 {
			return int32(parseInt(id))
		}
	}
	return int32(s.Int("node.id"))
}

// RequestBytes is the memory for requests in flight: rafka.memory.request.bytes, else queued.max.request.bytes where that was set.
func (s *Static) RequestBytes() int64 {
	if _, _, ok := s.Set("rafka.memory.request.bytes"); !ok {
		if n := s.Int("queued.max.request.bytes"); n > 0 {
			return n
		}
	}
	return s.Int("rafka.memory.request.bytes")
}

func parseFloat(v string) float64 {
	f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
	if err != nil {
		panic("config: " + v + " was validated as a number")
	}
	return f
}

// unitOf is the unit of a time, from the end of its key's name.
func unitOf(name string) time.Duration {
	switch {
	case strings.HasSuffix(name, ".hours"):
		return time.Hour
	case strings.HasSuffix(name, ".minutes"):
		return time.Minute
	case strings.HasSuffix(name, ".seconds"), strings.HasSuffix(name, ".secs"):
		return time.Second
	}
	return time.Millisecond
}

// duration is n units, or the nearest Duration there is.
func duration(n int64, unit time.Duration) time.Duration {
	switch {
	case n > math.MaxInt64/int64(unit):
		return math.MaxInt64
	case n < math.MinInt64/int64(unit):
		return math.MinInt64
	}
	return time.Duration(n) * unit
}
