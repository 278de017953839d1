package httpsrv

import (
	"encoding/json"
	"net/http"
)

// answer is the body of the health routes.
type answer struct {
	Status  string   `json:"status"`
	Reasons []string `json:"reasons,omitempty"`
}

// live answers as long as the process can: it is for those who restart what does not answer.
func (s *Server) live(w http.ResponseWriter, _ *http.Request) { reply(w, "alive", "", nil) }

// health is 503 when only a restart or a person can help.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	reply(w, "healthy", "unhealthy", ask(s.sources.Unhealthy))
}

// ready is 503 until the broker can serve, and while it stops (HTP-3).
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	reply(w, "ready", "not ready", ask(s.sources.NotReady))
}

func ask(source func() []string) []string {
	if source == nil {
		return nil
	}
	return source()
}

func reply(w http.ResponseWriter, good, bad string, reasons []string) {
	w.Header().Set("Content-Type", "application/json")
	a := answer{Status: good, Reasons: reasons}
	if len(reasons) > 0 {
		a.Status = bad
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(a) // who has left gets nothing
}
