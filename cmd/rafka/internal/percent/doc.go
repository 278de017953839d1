// Package percent writes records by a template of percent codes, as kcat -f and rpk -f do.
// It is called by consume, produce and cat; it calls nothing of ours.
//
// Codes (kcat's meaning wins where rpk's differs):
//
//	%t topic            %p partition        %o offset           %e leader epoch
//	%k key              %K key length       %s %v value         %S %V value length (-1: null)
//	%R value length as 4 big-endian bytes   %T timestamp, milliseconds since 1970
//	%d timestamp as RFC 3339                %d{layout} by a Go layout, in UTC
//	%h headers as k=v,k=v                   %h{%k:%v } each header by the inner template
//	%H header count     %x producer id      %y producer epoch   %% a percent sign
//	\n \r \t \0 \\      \xHH one byte by its hex digits
//
// What holds:
//
//	PCT-1  Compile never panics; what it accepts, Append writes for any record.
//	PCT-2  Keys, values and headers are written byte for byte, never interpreted.
//
// How it is tested: a table of templates, and a fuzz target.
package percent
