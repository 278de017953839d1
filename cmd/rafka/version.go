package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the release build: -ldflags "-X main.version=v1.2.3".
var version = ""

type versionView struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersionCommand() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print version and build",
		Args:  arguments(0, 0, "[flags]"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := buildVersion()
			return out.print(cmd.OutOrStdout(), v, func(t *table) {
				t.row("rafka", v.Version)
				if v.Revision != "" {
					t.row("commit", v.Revision+" "+v.Time)
				}
				t.row("go", v.Go+" "+v.Platform)
			})
		},
	}
	out.register(cmd)
	return cmd
}

func buildVersion() versionView {
	v := versionView{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if v.Version == "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
