// Command tcplife tells the life of every TCP connection in a packet capture.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	paceCollector()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for the report so far. From then on signals have their
	// usual effect, so that the second kills at once, whatever the first waits for.
	context.AfterFunc(ctx, stop)
	// A closed standard output is an error of the write, not the end of the process:
	// without this the runtime dies of SIGPIPE, and the exit code would not be 0.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
