package httpsrv

import (
	"html/template"
	"net/http"
	"time"
)

// statusTemplate is for a person who opens the port in a browser. It has no script and loads nothing.
var statusTemplate = template.Must(template.New("status").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Rafka {{.Node}}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem }
dt { color: #666 } dd { margin: 0 }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } dt { color: #999 } a { color: #8cf } }
</style>
</head>
<body>
<h1>Rafka</h1>
<p>{{if .NotReady}}This broker is not ready:{{else}}This broker is ready.{{end}}</p>
{{if .NotReady}}<ul>{{range .NotReady}}<li>{{.}}</li>{{end}}</ul>{{end}}
<dl>
<dt>Version</dt><dd>{{.Version}}</dd>
<dt>Node</dt><dd>{{.Node}}</dd>
<dt>Cluster</dt><dd>{{.Cluster}}</dd>
<dt>Brokers</dt><dd>{{.Brokers}}</dd>
<dt>Topics</dt><dd>{{.Topics}}</dd>
<dt>Partitions</dt><dd>{{.Partitions}}</dd>
<dt>Running for</dt><dd>{{.Uptime}}</dd>
</dl>
<p><a href="/metrics">metrics</a> · <a href="/healthz">health</a> · <a href="/readyz">readiness</a>{{if .Profiles}} · <a href="/debug/pprof/">profiles</a>{{end}}</p>
</body>
</html>
`))

func (s *Server) statusPage(w http.ResponseWriter, _ *http.Request) {
	img := s.sources.Image()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	_ = statusTemplate.Execute(w, map[string]any{ // who has left gets nothing
		"Version": s.opts.Version, "Node": s.sources.NodeID, "Cluster": img.ClusterID, "Brokers": len(img.Brokers),
		"Topics": img.Topics.Len(), "Partitions": img.Topics.PartitionCount(), "Uptime": s.opts.Now().Sub(s.started).Round(time.Second),
		"NotReady": ask(s.sources.NotReady), "Profiles": s.opts.Profiles,
	})
}
