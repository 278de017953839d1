package percent

import (
	"fmt"
	"strconv"
)

// Unescape resolves \n \r \t \0 \\ and \xHH. Other text stays as it is, also bytes that are not UTF-8.
func Unescape(s string) ([]byte, error) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		b, used, err := escape(s[i:])
		if err != nil {
			return nil, err
		}
		out = append(out, b)
		i += used - 1
	}
	return out, nil
}

// escape reads the escape at the start of s (s[0] is the backslash): the byte it stands for and its length in s.
func escape(s string) (b byte, used int, err error) {
	if len(s) < 2 {
		return 0, 0, fmt.Errorf(`a single \ at the end; write \\ for a backslash`)
	}
	switch s[1] {
	case 'n':
		return '\n', 2, nil
	case 'r':
		return '\r', 2, nil
	case 't':
		return '\t', 2, nil
	case '0':
		return 0, 2, nil
	case '\\':
		return '\\', 2, nil
	case 'x':
		if len(s) >= 4 {
			if n, err := strconv.ParseUint(s[2:4], 16, 8); err == nil {
				return byte(n), 4, nil
			}
		}
		return 0, 0, fmt.Errorf(`\x wants two hex digits, as in \x1f`)
	}
	return 0, 0, fmt.Errorf(`unknown escape \%c; known are \n \r \t \0 \\ \xHH`, s[1])
}
