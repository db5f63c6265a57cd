package serve

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// meters are what /metrics shows. Each server has its own.
type meters struct {
	registry *prometheus.Registry

	requests *prometheus.CounterVec   // by route and status
	seconds  *prometheus.HistogramVec // by route
	answers  *prometheus.CounterVec   // by head and label
	stage    *prometheus.HistogramVec // seconds of reading, decoding and the network
	batch    prometheus.Histogram     // pictures of a call of the network
	inFlight prometheus.Gauge
	reloads  *prometheus.CounterVec // by head and result
	stale    *prometheus.GaugeVec   // by head: 1 = the file on disk was refused
	info     *prometheus.GaugeVec   // by head: its file and backbone
}

func newMeters() *meters {
	const space = "tlkit_serve"
	seconds := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: space, Name: name, Help: help}, labels)
	}
	m := &meters{
		registry: prometheus.NewRegistry(),
		requests: counter("requests_total", "Requests, by route and status.", "route", "status"),
		seconds:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: space, Name: "request_seconds", Help: "Time of a request, its arrival included.", Buckets: seconds}, []string{"route"}),
		answers:  counter("predictions_total", "Predictions, by head and label. A label \"\" is unknown, or the head has values.", "head", "label"),
		stage:    prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: space, Name: "stage_seconds", Help: "Time to read a body, to decode a picture, and of a call of the network.", Buckets: seconds}, []string{"stage"}),
		batch:    prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: space, Name: "batch_pictures", Help: "Pictures in a call of the network.", Buckets: []float64{1, 2, 3, 4, 6, 8}}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: space, Name: "in_flight", Help: "Pictures that have arrived and are not answered yet."}),
		reloads:  counter("reloads_total", "Head files that changed on disk, by head and result: opened, refused.", "head", "result"),
		stale:    prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: space, Name: "head_stale", Help: "1 where the file on disk was refused and an older one serves."}, []string{"head"}),
		info:     prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: space, Name: "head_info", Help: "1 for the head that serves."}, []string{"head", "backbone", "sha256"}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.answers, m.stage, m.batch, m.inFlight, m.reloads, m.stale, m.info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// opened describes the head that serves now.
func (m *meters) opened(name string, n *served) {
	m.info.DeletePartialMatch(prometheus.Labels{"head": name})
	m.info.WithLabelValues(name, n.classifier.Head.Backbone.Name, n.sha256).Set(1)
}

// count counts a prediction.
func (m *meters) count(head string, p Prediction) {
	switch {
	case p.Label != nil:
		m.answers.WithLabelValues(head, *p.Label).Inc()
	case len(p.Labels) > 0:
		for _, l := range p.Labels {
			m.answers.WithLabelValues(head, l).Inc()
		}
	default:
		m.answers.WithLabelValues(head, "").Inc()
	}
}

// rosMeters are what /metrics shows of a robot with ROS.
type rosMeters struct {
	connected   prometheus.Gauge
	connections prometheus.Counter
	messages    *prometheus.CounterVec // by kind and result
	actions     *prometheus.CounterVec // by kind
}

func newROSMeters(to prometheus.Registerer) *rosMeters {
	const space = "tlkit_rosbridge"
	m := &rosMeters{
		connected:   prometheus.NewGauge(prometheus.GaugeOpts{Namespace: space, Name: "connected", Help: "1 while rosbridge_server is connected."}),
		connections: prometheus.NewCounter(prometheus.CounterOpts{Namespace: space, Name: "connections_total", Help: "Connections that were made."}),
		messages:    prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: space, Name: "messages_total", Help: "Messages, by kind (image, state, episode, other) and result (used, refused)."}, []string{"kind", "result"}),
		actions:     prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: space, Name: "steps_total", Help: "Steps, by what was published: act, hold, none."}, []string{"kind"}),
	}
	to.MustRegister(m.connected, m.connections, m.messages, m.actions)
	return m
}
