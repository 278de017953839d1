package main

import (
	"fmt"
	"strconv"
	"strings"
)

// bytesText is n for people: 999 B, 1.5 KiB, 2.0 GiB.
func bytesText(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), 0
	for f >= 1024 && unit < 5 {
		f /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", f, " KMGTP"[unit])
}

// parseBytes reads a size such as 100, 64k, 1.5MiB, 2G; the units are powers of 1024.
func parseBytes(s string) (int64, error) {
	digits := strings.TrimRight(s, "kKmMgGtTiBb")
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(f >= 0 && f < 1<<50) {
		return 0, fmt.Errorf("size %q: want a number and a unit, as in 512, 64k, 10MiB, 1G", s)
	}
	unit := s[len(digits):]
	switch unit {
	case "", "B", "b":
	case "k", "K", "kB", "KB", "KiB":
		f *= 1 << 10
	case "m", "M", "MB", "MiB":
		f *= 1 << 20
	case "g", "G", "GB", "GiB":
		f *= 1 << 30
	case "t", "T", "TB", "TiB":
		f *= 1 << 40
	default:
		return 0, fmt.Errorf("size %q: unknown unit %q; known are K, M, G, T", s, unit)
	}
	if f >= 1<<62 {
		return 0, fmt.Errorf("size %q is too large", s)
	}
	return int64(f), nil
}
