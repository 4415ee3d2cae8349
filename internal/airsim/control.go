package airsim

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"airbridged/internal/airsim/simcloud"
)

// maxRequest bounds the body of a control request; the cloud's own limit for a
// message is 256 KiB.
const maxRequest = 256 << 10

// ServeControl serves the control API over HTTP on l, usually a Unix socket,
// until ctx ends; it returns when every request is finished. It closes l.
//
//	POST /v1/do           body: one command of the fault and control language
//	POST /v1/push?topic=T&qos=N   body: the payload of a message down
//	GET  /v1/messages     what the cloud received, as NDJSON; then what it
//	                      receives, unless ?follow=0
//	GET  /v1/transcript   the dialogue on the line, as NDJSON
//	GET  /v1/counters     of the module and of the cloud, and what passed over the air
func ServeControl(ctx context.Context, l net.Listener, m *Module) error {
	api := &controlAPI{m: m}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/do", api.do)
	mux.HandleFunc("POST /v1/push", api.push)
	mux.HandleFunc("GET /v1/messages", api.messages)
	mux.HandleFunc("GET /v1/transcript", api.transcript)
	mux.HandleFunc("GET /v1/counters", api.counters)
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		// Streams end with ctx, or Shutdown would wait for them.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	var stop sync.WaitGroup
	ended := make(chan struct{})
	stop.Go(func() {
		select {
		case <-ctx.Done():
		case <-ended:
		}
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(late) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(l)
	close(ended)
	stop.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

type controlAPI struct{ m *Module }

func (a *controlAPI) do(w http.ResponseWriter, r *http.Request) {
	command, fine := body(w, r)
	if !fine {
		return
	}
	text, err := a.m.Do(string(command))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if text != "" {
		_, _ = io.WriteString(w, text+"\n")
	}
}

func (a *controlAPI) push(w http.ResponseWriter, r *http.Request) {
	topic := r.URL.Query().Get("topic")
	qos, err := strconv.Atoi(r.URL.Query().Get("qos"))
	if r.URL.Query().Get("qos") == "" {
		qos, err = 0, nil
	}
	if topic == "" || err != nil || qos < 0 || qos > 1 {
		http.Error(w, "topic is needed, and qos is 0 or 1", http.StatusBadRequest)
		return
	}
	payload, fine := body(w, r)
	if !fine {
		return
	}
	writeJSON(w, map[string]int{"devices": a.m.cloud.Push(topic, byte(qos), payload)})
}

func body(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, "the body cannot be read, or is over 256 KiB", http.StatusRequestEntityTooLarge)
		return nil, false
	}
	return b, true
}

// messageLine is a received message as JSON: text stays readable.
type messageLine struct {
	At         time.Time `json:"at"`
	ProductKey string    `json:"product_key"`
	DeviceName string    `json:"device_name"`
	Topic      string    `json:"topic"`
	QoS        byte      `json:"qos"`
	text

	Readings []text `json:"readings,omitempty"` // in it, as --unpack says
	Trouble  string `json:"trouble,omitempty"`  // why it could not be unpacked
}

type text struct {
	Payload  string `json:"payload"`
	Encoding string `json:"encoding"`
}

func textOf(b []byte) text {
	if !utf8.Valid(b) {
		return text{base64.StdEncoding.EncodeToString(b), "base64"}
	}
	return text{string(b), "utf-8"}
}

func lineOf(r simcloud.Received) messageLine {
	line := messageLine{At: r.At, ProductKey: r.ProductKey, DeviceName: r.DeviceName, Topic: r.Topic, QoS: r.QoS, text: textOf(r.Payload), Trouble: r.Trouble}
	for _, reading := range r.Readings {
		line.Readings = append(line.Readings, textOf(reading))
	}
	return line
}

func (a *controlAPI) messages(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	if r.URL.Query().Get("follow") == "0" {
		for _, m := range a.m.cloud.Messages() {
			if out.Encode(lineOf(m)) != nil {
				return
			}
		}
		return
	}
	past, coming := a.m.cloud.Follow(r.Context())
	for _, m := range past {
		if out.Encode(lineOf(m)) != nil {
			return
		}
	}
	flush := http.NewResponseController(w)
	for {
		if flush.Flush() != nil {
			return
		}
		m, more := <-coming
		if !more || out.Encode(lineOf(m)) != nil {
			return
		}
	}
}

func (a *controlAPI) transcript(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	for _, e := range a.m.Transcript() {
		text, encoding := e.Text, "utf-8"
		if !utf8.ValidString(text) {
			text, encoding = base64.StdEncoding.EncodeToString([]byte(text)), "base64"
		}
		err := out.Encode(struct {
			At       time.Time `json:"at"`
			Dir      string    `json:"dir"`
			Text     string    `json:"text"`
			Encoding string    `json:"encoding"`
		}{e.At, e.Dir, text, encoding})
		if err != nil {
			return
		}
	}
}

func (a *controlAPI) counters(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, struct {
		Module ModuleCounters    `json:"module"`
		Cloud  simcloud.Counters `json:"cloud"`
		Air    map[string]OnAir  `json:"air"`
	}{a.m.Counters(), a.m.cloud.Counters(), a.m.OnAir()})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
