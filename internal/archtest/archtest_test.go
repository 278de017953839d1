package archtest

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// The module keeps the architecture. Each failure names the file and the reason (ARC-1 to ARC-8).
func TestModuleKeepsItsArchitecture(t *testing.T) {
	m, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if m.packages["internal/kafka"] == nil || m.packages["internal/archtest"] == nil {
		t.Fatal("the tree at ../.. is not the module")
	}
	for _, r := range []struct {
		name  string
		check rule
	}{
		{"ImportsGoDown", importsGoDown},
		{"OutsideStaysOutside", outsideStaysOutside},
		{"CoresStayPure", coresStayPure},
		{"FilesGoThroughVFS", filesGoThroughVFS},
		{"EnginesStayConcealed", enginesStayConcealed},
		{"PackagesSayWhatTheyAre", packagesSayWhatTheyAre},
		{"InvariantsAreTested", invariantsAreTested},
		{"TestSupportStaysInTests", testSupportStaysInTests},
	} {
		t.Run(r.name, func(t *testing.T) {
			broken := r.check(m)
			slices.Sort(broken)
			for _, b := range slices.Compact(broken) {
				t.Error(b)
			}
		})
	}
}

// A rule that stopped seeing would pass for ever: each gets a tree that breaks it and one that does not.
func TestEachRuleSeesWhatBreaksIt(t *testing.T) {
	imports := func(paths ...string) string {
		s := "package x\n"
		for _, p := range paths {
			s += "import _ \"" + p + "\"\n"
		}
		return s
	}
	const our = modulePath + "/"
	for _, c := range []struct {
		name  string
		check rule
		tree  map[string]string
		want  string // part of the only complaint; empty: none
	}{
		{"a door may use the broker", importsGoDown, map[string]string{"internal/server/textsrv/a.go": imports(our + "internal/broker")}, ""},
		{"the broker may not use a door", importsGoDown, map[string]string{"internal/broker/a.go": imports(our + "internal/server/textsrv")}, "higher layer \"doors\""},
		{"doors may not use each other", importsGoDown, map[string]string{"internal/server/textsrv/a.go": imports(our + "internal/server/grpcsrv")}, "own layer"},
		{"hosts may not use each other", importsGoDown, map[string]string{"internal/replica/a.go": imports(our + "internal/coordinator")}, "own layer"},
		{"the loop uses its core", importsGoDown, map[string]string{"internal/controller/loop/a.go": imports(our + "internal/controller")}, ""},
		{"a core may not use its loop", importsGoDown, map[string]string{"internal/record/a.go": imports(our + "internal/metadata")}, "higher layer"},
		{"a package may use one below itself", importsGoDown, map[string]string{"internal/partition/a.go": imports(our + "internal/partition/producers")}, ""},
		{"and not the other way", importsGoDown, map[string]string{"internal/partition/producers/a.go": imports(our + "internal/partition")}, "own layer"},
		{"a test package may use what it stands beside", importsGoDown, map[string]string{"internal/broker/brokertest/a.go": imports(our + "internal/broker")}, ""},
		{"tests may import anything", importsGoDown, map[string]string{"internal/broker/a_test.go": imports(our + "internal/app")}, ""},
		{"a new package needs a layer", importsGoDown, map[string]string{"internal/surprise/a.go": imports()}, "in no layer"},
		{"the client may use the words", outsideStaysOutside, map[string]string{"client/a.go": imports(our + "internal/kafka")}, ""},
		{"the client may not use the broker", outsideStaysOutside, map[string]string{"client/a.go": imports(our + "internal/broker")}, "lives outside"},
		{"a core has no clock", coresStayPure, map[string]string{"internal/isr/a.go": "package isr\nimport \"time\"\nvar t = time.Now()"}, "time.Now"},
		{"a renamed clock is a clock", coresStayPure, map[string]string{"internal/isr/a.go": "package isr\nimport c \"time\"\nvar t = c.Since"}, "time.Since"},
		{"a duration is no clock", coresStayPure, map[string]string{"internal/isr/a.go": "package isr\nimport \"time\"\nvar t = time.Second"}, ""},
		{"a core has no dice", coresStayPure, map[string]string{"internal/coordinator/group/a.go": imports("math/rand/v2")}, "math/rand/v2"},
		{"a core has no goroutine", coresStayPure, map[string]string{"internal/controller/a.go": "package controller\nfunc f() { go f() }"}, "goroutine"},
		{"its loop may", coresStayPure, map[string]string{"internal/controller/loop/a.go": "package loop\nfunc f() { go f() }"}, ""},
		{"files go through vfs", filesGoThroughVFS, map[string]string{"internal/replica/a.go": "package replica\nimport \"os\"\nvar _ = os.ReadFile"}, "os.ReadFile"},
		{"the environment is no file", filesGoThroughVFS, map[string]string{"internal/config/a.go": "package config\nimport \"os\"\nvar _ = os.Getenv"}, ""},
		{"vfs opens files", filesGoThroughVFS, map[string]string{"internal/vfs/a.go": "package vfs\nimport \"os\"\nvar _ = os.Open"}, ""},
		{"app names engines", enginesStayConcealed, map[string]string{"internal/app/a.go": imports(our + "internal/storage/seglog")}, ""},
		{"others do not", enginesStayConcealed, map[string]string{"internal/replica/a.go": imports(our + "internal/storage/seglog")}, "use storage.Engine"},
		{"a package without doc.go", packagesSayWhatTheyAre, map[string]string{"internal/isr/isr.go": "// Package isr is it.\npackage isr"}, "no doc.go"},
		{"a doc.go that says something else", packagesSayWhatTheyAre, map[string]string{"internal/isr/doc.go": "// This is isr.\npackage isr"}, "does not begin"},
		{"a good doc.go", packagesSayWhatTheyAre, map[string]string{"internal/isr/doc.go": "// Package isr says who is in sync.\npackage isr"}, ""},
		{"an invariant without a test", invariantsAreTested, map[string]string{"internal/isr/doc.go": "// Package isr is it.\n//\n//\tISR-1  It holds.\npackage isr"}, "no test cites ISR-1"},
		{"an invariant with a test", invariantsAreTested, map[string]string{
			"internal/isr/doc.go":    "// Package isr is it.\n//\n//\tISR-1  It holds.\npackage isr",
			"internal/isr/a_test.go": "package isr\n// (ISR-1)\n"}, ""},
		{"test packages stay in tests", testSupportStaysInTests, map[string]string{
			"internal/broker/brokertest/a.go": "package brokertest",
			"internal/app/a.go":               imports(our + "internal/broker/brokertest")}, "made for tests"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := fstest.MapFS{}
			for name, text := range c.tree {
				tree[name] = &fstest.MapFile{Data: []byte(text)}
			}
			m, err := load(tree)
			if err != nil {
				t.Fatal(err)
			}
			broken := c.check(m)
			if c.want == "" && len(broken) > 0 || c.want != "" && (len(broken) != 1 || !strings.Contains(broken[0], c.want)) {
				t.Errorf("complaints %q, want one with %q", broken, c.want)
			}
		})
	}
}
