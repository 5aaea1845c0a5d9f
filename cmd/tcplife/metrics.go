package main

import (
	"context"
	"runtime"

	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/metrics"
	"github.com/tcplife/tcplife/report"
)

// metricsOptions is the flag of live that serves metrics.
type metricsOptions struct {
	address string
}

func (o *metricsOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.address, "metrics", "", "serve metrics for Prometheus at this `address`, such as 127.0.0.1:9777; port 0 is any that is free")
}

func (o *metricsOptions) validate(*liveOptions) error {
	if o.address == "" {
		return nil
	}
	if err := metrics.Check(o.address); err != nil {
		return usage("--metrics: %w", err)
	}
	return nil
}

// attach takes the address, before any right to do so is given up, and answers from then
// on until the run is over.
func (o *metricsOptions) attach(_ context.Context, s *streams, run *liveRun) (finish func() error, err error) {
	if o.address == "" {
		return nil, nil
	}
	server, warning, err := metrics.Listen(o.address)
	if err != nil {
		return nil, &exitError{exitOutput, err}
	}
	if warning != "" {
		s.warn("--metrics: %s", warning)
	}
	s.warn("metrics are at %s", server.URL())
	live := metrics.NewLive(metrics.Hosts{Profile: run.Config.Profile, Networks: run.Config.Networks})
	recorder := metrics.NewRecorder()
	run.Config.Observe = recorder.Observe
	run.view(live.View)
	run.onSnapshot(metrics.Every, live.Take)
	build := metrics.Build{Version: version(), Revision: commit(), Go: runtime.Version(), Schema: report.Schema}
	server.Serve(metrics.NewCollector(build, recorder, live.Snapshot).Registry(), live.Health)
	return server.Close, nil
}
