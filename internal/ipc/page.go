package ipc

import (
	"context"
	"net/http"

	"airbridged/internal/access"
	"airbridged/internal/web"
)

// page answers with the page, or with a file of it.
func (s *serving) page(w http.ResponseWriter, r *http.Request, _ query) error {
	if s.o.Page == nil || !web.File(w, r.PathValue("file")) {
		return noSuchRoute.problem("nothing is at "+shown(r.URL.Path), existing())
	}
	return nil
}

// live is the stream that the page reads.
func (s *serving) live(w http.ResponseWriter, r *http.Request, _ query) error {
	if s.o.Page == nil {
		return noSuchRoute.problem("nothing is at "+shown(r.URL.Path), existing())
	}
	if r.Method == http.MethodHead {
		newLineWriter(w, r)
		return nil
	}
	s.streams.Add(1)
	defer s.streams.Add(-1)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	shown := sees(s.rights(r))
	defer s.whileAllowed(r, func(rights access.Rights) error {
		if sees(rights) != shown {
			return errDenied // the page comes again, and sees what it may then
		}
		return nil
	}, func(error) { cancel() })()
	if err := s.o.Page.Live(ctx, w, shown); err != nil {
		s.brokeOff(r, err)
	}
	return nil
}

// sees says which parts of the page somebody may see.
func sees(rights access.Rights) web.Sees {
	may := func(what access.See) bool { return rights.May(what) == nil }
	return web.Sees{Status: may(access.Status), Events: may(access.Events), Trace: may(access.Trace), Messages: may(access.Messages)}
}

// foreigner refuses what the page of another site asks for through the browser of
// somebody who forwards this socket to a port of his own machine, as with ssh -L. A
// program is never refused here, unless it sends what browsers send, and asks under a
// name that may be anybody's.
func foreigner(r *http.Request) error {
	if !web.Browser(r) {
		return nil
	}
	if err := web.Foreign(r); err != nil {
		return foreignSite.problem(err.Error(), "open the daemon's own page, or ask without a browser")
	}
	if !web.Named(r.Host) {
		return foreignSite.problem("a browser asks for "+shown(r.Host)+", a name that may belong to anybody", "ask for localhost; a proxy in front has to send Host: localhost")
	}
	return nil
}
