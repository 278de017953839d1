package group

import (
	"slices"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
)

func TestExpressionsMatchWholeNames(t *testing.T) {
	w := newWorld(t)
	w.topic("orders.eu", 1)
	for expr, want := range map[string]string{
		"orders":          "orders",
		"orders.*":        "orders orders.eu",
		"bills|orders":    "bills orders",
		"rders":           "",
		"(?i)ORDERS":      "orders",
		"^orders$":        "orders",
		`\Qorders.eu\E`:   "orders.eu",
		"orders)|(bills":  "", // no expression, though it would be one inside parentheses
		"":                "",
		".*":              "bills orders orders.eu",
		`(?s).*\.(eu|us)`: "orders.eu",
	} {
		if got := matching(expr, w.Image.Topics); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%q matches %v, want %q", expr, got, want)
		}
	}
}

// Thirty bytes must not make a matcher of a hundred megabytes.
func TestExpressionsAreBounded(t *testing.T) {
	for expr, ok := range map[string]bool{
		"a{1000}":                            true,
		strings.Repeat("a{1000}", 25):        false,
		strings.Repeat("(a|b|c){900}", 9):    false,
		`(\pL{10}){90}`:                      false,
		strings.Repeat("a", maxRegexBytes):   true,
		strings.Repeat("a", 1+maxRegexBytes): false,
		"a(":                                 false,
		`\8`:                                 false,
	} {
		if err := checkRegex(expr); (err == nil) != ok || err != nil && kafka.CodeOf(err) != kafka.InvalidRegularExpression {
			t.Errorf("%.40q is refused: %v", expr, err)
		}
	}
}

func FuzzExpressions(f *testing.F) {
	f.Add("ord(er|e)s|other.*")
	f.Add("((a{9}){9}){9}")
	f.Add(`\Q`)
	f.Add(`(?i)ord.*\Qers`)
	f.Fuzz(func(t *testing.T, expr string) {
		if checkRegex(expr) == nil && compileRegex(expr) == nil {
			t.Errorf("%q is taken and cannot be used", expr)
		}
	})
}
