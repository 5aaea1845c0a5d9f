# make prints what there is to make. Everything needs only Go; what a test wants
# beyond that (tshark, a terminal) it says when it skips.

GO       ?= go
# How long each fuzz target runs in make fuzz.
FUZZTIME ?= 30s
# Further arguments of go test, for example: make test TESTFLAGS='-run Golden -v'
TESTFLAGS ?=

# Tools are run from their module at a fixed version: nothing to install, and the
# same answers on every machine. They stay out of go.mod, which is the program's.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
BENCHSTAT   = golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

# Not left to go build's own stamping, which fails the build where git distrusts the
# folder's owner.
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null)
REVISION := $(shell git rev-parse HEAD 2>/dev/null)
LDFLAGS   = -s -w $(if $(VERSION),-X main.release=$(VERSION)) $(if $(REVISION),-X main.revision=$(REVISION))

# The other systems that the program must build for; 386 because lengths and
# offsets must fit where int has 32 bits.
PLATFORMS = linux/amd64 linux/arm64 linux/386 darwin/arm64 windows/amd64

.DEFAULT_GOAL := help
.PHONY: build test race fuzz bench bench-diff lint fmt cross cover pcaps man golden peers tally explore anonymous clean help bench-peers day

build: ## the program, as bin/tcplife: one static file
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/tcplife ./cmd/tcplife

test: ## gofmt, vet and every test; where TCPLIFE_CI is set, unexpected skips fail
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not formatted (make fmt mends it):"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
ifdef TCPLIFE_CI
	@mkdir -p bin && $(GO) build -o bin/skipcheck ./internal/housetest/skipcheck
	bash -o pipefail -c '$(GO) test -json $(TESTFLAGS) ./... | bin/skipcheck $(MAY_SKIP)'
else
	$(GO) test $(TESTFLAGS) ./...
endif

race: ## every test under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race $(TESTFLAGS) ./...

# go test sometimes calls the end of the time a failure, when it comes while an input is
# tried (golang.org/issue/75804): without an input that fails, it is none.
fuzz: ## every fuzz target for FUZZTIME each (30s); crashers go to testdata/fuzz
	@set -e; log=$$(mktemp); trap 'rm -f $$log' EXIT; for dir in $$($(GO) list -f '{{.Dir}}' ./...); do \
	  for target in $$(cd $$dir && grep -hoE '^func Fuzz[A-Za-z0-9_]+' *_test.go 2>/dev/null | sed 's/^func //'); do \
	    echo "$$target in $${dir#$(CURDIR)/}"; \
	    if (cd $$dir && $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) .) > $$log 2>&1; then tail -2 $$log; \
	    elif grep -q 'context deadline exceeded' $$log && ! grep -q 'Failing input written' $$log; then \
	      echo "the time was over while an input was tried; none failed"; \
	    else cat $$log; exit 1; fi; \
	  done; \
	done

anonymous: ## anonymise the captures of ../shared: tshark finds nothing of the originals, and the report is the same
	$(GO) test ./record -run Anonymized -all -timeout 60m $(TESTFLAGS)

# A property is tried from new seeds in every run but those of the continuous
# integration; this looks further. What fails is printed with its seed.
CHECKS ?= 5000
explore: ## every property CHECKS times (5000), each from a new seed
	@set -e; for dir in $$(grep -rl --include='*_test.go' '"pgregory.net/rapid"' . | xargs -n1 dirname | sort -u); do \
	  $(GO) test -count 1 -timeout 2h $$dir -rapid.checks $(CHECKS) -rapid.nofailfile; \
	done

# Ten short runs of each say more on a busy machine than a few long ones.
day: ## a live run of 24 hours with a million connections: memory, goroutines and files stay as they are
	TCPLIFE_DAY=1000000 $(GO) test -count 1 -v -timeout 1h -run TestADay ./pipeline

bench: ## every benchmark ten times, to bench.txt
	$(GO) test -run '^$$' -bench . -benchtime 200ms -benchmem -count 10 ./... | tee bench.txt

bench-diff: ## compares bench.old (a bench.txt of before) with bench.txt
	$(GO) run $(BENCHSTAT) bench.old bench.txt

bench-peers: build ## tcplife beside capinfos, argus, tcptrace and tshark: CAPTURES='a.pcap b.pcap'
	$(GO) run ./internal/rivals -tcplife bin/tcplife $(CAPTURES)

lint: ## gofmt, vet, staticcheck, and the build for every other system
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not formatted (make fmt mends it):"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	@$(MAKE) --no-print-directory cross

cross: ## builds and vets for every other system, without cgo
	@set -e; for p in $(PLATFORMS); do \
	  echo "build $$p"; export CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/}; \
	  $(GO) vet ./... && $(GO) build -o /dev/null ./cmd/tcplife; \
	done

fmt: ## formats every file
	gofmt -w .

cover: ## test coverage by package, and cover.out for go tool cover
	$(GO) test -coverprofile cover.out -coverpkg ./... ./...
	$(GO) tool cover -func cover.out | tail -1

pcaps: ## compiles testdata/scenarios to testdata/pcaps
	$(GO) run ./internal/scenario/mkpcaps

man: ## writes the manual pages in man from the help texts
	@mkdir -p man && $(GO) run ./cmd/tcplife man man

# Only the packages that know the flag: the others would refuse it.
golden: ## rewrites every expected output (-update); then read the diff, line by line
	@set -e; for dir in $$(grep -rlE --include='*_test.go' 'flag\.Bool\("update"' . | xargs -n1 dirname | sort -u); do \
	  echo "$$dir"; $(GO) test -count 1 $$dir -update; \
	done

CORPUS ?= ../shared/corpus
peers: build ## counts of frames beside tshark's, over the captures of CORPUS (needs tshark)
	$(GO) run ./internal/peers -tcplife bin/tcplife $(CORPUS)/pcap/* $(CORPUS)/no-tcp/*

tally: build ## findings by kind over the captures of CORPUS, as docs/validation.md has them
	bin/tcplife analyze --each --merge-encap -f ndjson $(CORPUS)/pcap | $(GO) run ./internal/tally

clean: ## removes what make has built
	rm -rf bin cover.out bench.txt

help: ## prints this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
