# make test is what CI runs. Everything else is listed by make help.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS  = -s -w -X github.com/hathi-ha/hathi/pkg/cli.Version=$(VERSION)

# Tools of the lint, pinned; the go command fetches and caches them.
GOFUMPT     = go run mvdan.cc/gofumpt@v0.12.0
STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: killed help build completions test lint bench test-versions test-patroni soak fuzz sim-report chaos playground setup clean docker-image docker-test

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

build: ## bin/hathi, a static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/hathi ./cmd/hathi
	@$(MAKE) --no-print-directory completions

completions: ## what shells complete, for both names of the program
	@for program in hathi patronictl; do \
	  bin/hathi completion bash --program $$program > completions/$$program.bash && \
	  bin/hathi completion fish --program $$program > completions/$$program.fish && \
	  bin/hathi completion powershell --program $$program > completions/$$program.ps1 && \
	  bin/hathi completion zsh --program $$program > completions/_$$program || exit 1; done

setup: ## install what the machine lacks
	scripts/setup

test: setup lint ## everything CI checks, on real etcd and PostgreSQL
	scripts/run-tests

lint: ## gofumpt, go vet, staticcheck
	@unformatted=$$($(GOFUMPT) -l cmd pkg integration); if [ -n "$$unformatted" ]; then echo "not gofumpt-clean:"; echo "$$unformatted"; exit 1; fi
	go vet ./... && go vet -tags bench,drift,patroni ./integration/bench ./integration/patroni ./pkg/clock ./pkg/postgres
	$(STATICCHECK) ./...

bench: setup ## how long clients wait when something happens (about 15 minutes)
	go test -v -tags bench -count=1 -timeout 90m -run TestBench ./integration/bench
	go test -v -tags bench -count=1 -run 'TestBench|TestObserveIsCheap' ./pkg/postgres

test-versions: ## the tests of PostgreSQL on versions 13, 17 and 18, from other Debian releases (root; VERSIONS, TESTS)
	scripts/test-versions $(VERSIONS)

test-patroni: ## beside the real Patroni 4.1, from the newest Debian release (root; RUN chooses tests; about 30 minutes)
	scripts/test-patroni $(if $(RUN),-test.run '$(RUN)')

killed: setup ## kill an agent at every step of a bootstrap, a clone, a promotion and a rewind (make test takes some)
	TEST_KILLED=all go test -v -count=1 -timeout 60m -run TestKilledIn ./pkg/postgres

soak: ## simulate until told to stop
	go run ./pkg/sim/cmd/soak

fuzz: ## look for observations for which a decision breaks what must always hold (FUZZ_TIME)
	go test ./pkg/ha -run FuzzDecide -fuzz FuzzDecide -fuzztime $${FUZZ_TIME:-60s}

sim-report: ## which rules the simulator takes, and how often
	go run ./pkg/sim/cmd/report

chaos: setup ## faults by chance on real processes, in each mode (CHAOS_TIME, _MODE, _SEED, _STEP, _FAULT, _DRIFT)
	CHAOS_TIME=$${CHAOS_TIME:-10m} go test -v -count=1 -timeout 6h ./integration/chaos

playground: setup build ## a cluster of three nodes on this machine
	bin/hathi playground

clean: ## remove what was built
	rm -rf bin dist

DOCKER_BASE ?= hathi-base:bookworm
PG_MAJOR    ?= 15

docker-image: build ## images hathi and hathi-etcd, on DOCKER_BASE (made by debootstrap if it is the default)
	@[ "$(DOCKER_BASE)" != hathi-base:bookworm ] || scripts/docker-base $(DOCKER_BASE)
	docker build -q -f docker/Dockerfile --build-arg BASE_IMAGE=$(DOCKER_BASE) --build-arg PG_MAJOR=$(PG_MAJOR) -t hathi .
	docker build -q -f docker/Dockerfile.etcd --build-arg BASE_IMAGE=$(DOCKER_BASE) -t hathi-etcd docker

docker-test: docker-image ## the article's story in containers
	integration/docker/test.sh
