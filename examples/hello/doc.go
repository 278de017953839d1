// Command hello embeds a broker, sends it a few records and reads them back: the smallest whole program.
package main
