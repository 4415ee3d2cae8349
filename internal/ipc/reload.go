package ipc

import (
	"errors"
	"net/http"
	"strings"

	"airbridged/client/api"
)

// Mistakes is the error of Options.Reload when the configuration has any:
// nothing was changed.
type Mistakes []api.Mistake

func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, one := range m {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

var badConfiguration = kind{api.Configuration, http.StatusUnprocessableEntity, "The configuration has mistakes"}

// reload answers when the new configuration is in effect, or refused.
func (s *serving) reload(w http.ResponseWriter, r *http.Request, _ query) error {
	if s.o.Reload == nil {
		return noSuchRoute.problem("this daemon has no configuration to read again", existing())
	}
	done, err := s.o.Reload(r.Context())
	if mistakes, ok := errors.AsType[Mistakes](err); ok {
		p := badConfiguration.problem(mistakes.Error(), "nothing was changed; correct the files and reload once more")
		p.Mistakes = mistakes
		return p
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, "application/json", done)
	return nil
}

// config tells what is in effect.
func (s *serving) config(w http.ResponseWriter, _ *http.Request, _ query) error {
	if s.o.Config == nil {
		return noSuchRoute.problem("this daemon has no configuration", existing())
	}
	writeJSON(w, http.StatusOK, "application/json", s.o.Config())
	return nil
}
