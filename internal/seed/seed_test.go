package seed

import "testing"

// SED-1
func TestATestHasOneSeedOfItsOwn(t *testing.T) {
	t.Setenv("RAFKA_SEED", "")
	t.Setenv("RAFKA_EXPLORE", "")
	if Of(t) != Of(t) {
		t.Error("two seeds of one test differ")
	}
	outer := Of(t)
	t.Run("inner", func(t *testing.T) {
		if Of(t) == outer {
			t.Error("a test of another name has the same seed")
		}
	})
}

// SED-2, SED-3
func TestTheEnvironmentNamesSeeds(t *testing.T) {
	t.Setenv("RAFKA_SEED", "")
	t.Setenv("RAFKA_EXPLORE", "1")
	if Of(t) == Of(t) {
		t.Error("exploring gives the same seed twice")
	}
	t.Setenv("RAFKA_SEED", "18446744073709551615")
	if got := Of(t); got != 1<<64-1 || !IsFixed() {
		t.Errorf("seed %d, want what RAFKA_SEED says", got)
	}
}
