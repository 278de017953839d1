package config

import "strings"

// Suggest names the key of a scope that somebody who wrote name may have meant; empty if none is near.
func Suggest(scope Scope, name string) string {
	name = strings.ToLower(name)
	dotted := strings.NewReplacer("_", ".", "-", ".").Replace(name)
	best, least := "", max(2, len(name)/5)+1
	for _, k := range sorted[scope] {
		d := min(distance(name, k.Name, least), distance(dotted, k.Name, least))
		if d < least {
			best, least = k.Name, d
		}
	}
	if best == "" && scope == Broker && index[Topic][name] != nil {
		for _, k := range index[Topic][name].Broker { // a topic's key where the broker's is needed
			return k
		}
	}
	return best
}

// distance is how many letters must be changed, put in or taken out (Levenshtein), or limit if it is at least that.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0] // row[i][j], of the row before
		row[0] = i + 1
		for j := range len(b) {
			same := left
			if a[i] != b[j] {
				same++
			}
			left = row[j+1]
			row[j+1] = min(same, row[j+1]+1, row[j]+1)
		}
	}
	return min(row[len(b)], limit)
}
