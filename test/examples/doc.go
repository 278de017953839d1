// Package examples builds and runs the programs of examples/ and checks what they print.
package examples
