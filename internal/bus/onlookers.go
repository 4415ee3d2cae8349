package bus

import "sync"

// Onlookers are the people who watch the status at this moment, as on the page. Some
// of it is refreshed more often while there are any. It is safe for concurrent use.
type Onlookers struct {
	mu   sync.Mutex
	n    int
	come chan struct{} // has one place: somebody began to look
}

// Look says that one more watches, until leave is called; that may be called again.
func (o *Onlookers) Look() (leave func()) {
	o.mu.Lock()
	o.n++
	o.mu.Unlock()
	select {
	case o.come <- struct{}{}:
	default:
	}
	return sync.OnceFunc(func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.n--
	})
}

// Any says whether somebody watches.
func (o *Onlookers) Any() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.n > 0
}

// Come delivers when somebody may have begun to watch.
func (o *Onlookers) Come() <-chan struct{} { return o.come }
