// Package readme runs what the documentation tells its readers to type, and compares what they would see.
//
// A comment on the line before a fenced block says what becomes of it:
//
//	<!-- run -->                 every line that begins with "$ " is run by a shell, against a broker of the test; the lines behind it are
//	                             what it prints: "…" stands for anything in a line, and alone for any lines
//	<!-- run: needs kcat -->     the same, if the program is there
//	<!-- run: server -->         the command that starts the broker which the page is about
//	<!-- same as: FILE -->       the block stands in FILE, which is compiled and tested
//	<!-- settings: … -->         a configuration; all such blocks of a page say the same
//
// Ports, and the broker that the command line talks to, are those of the test's broker.
package readme
