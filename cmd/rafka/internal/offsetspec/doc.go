// Package offsetspec reads what --offset says: where a consumer starts and where it stops.
// It is called by consume, cat and topic trim; it calls nothing and reads no clock (now is passed in).
//
// What holds:
//
//	OFS-1  Parse never panics, and what it accepts it can print: Parse(r.String()) equals r.
//
// How it is tested: a table of every form, and a fuzz target.
package offsetspec
