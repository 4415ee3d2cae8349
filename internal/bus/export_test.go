package bus

// The bounds, for tests that fill a queue to the brim.
const (
	QueueItems  = queueItems
	QueueBytes  = queueBytes
	WatchEvents = watchEvents
)
