# `make` builds, `make test` is what README says, `make ci` is what must pass before a commit lands.
GO ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 5s

.PHONY: build
build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o bin/rafka ./cmd/rafka

.PHONY: test
test:
	$(GO) test ./...

.PHONY: vet
vet:
	$(GO) vet ./...
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "not gofmt-ed: $$unformatted"; exit 1; }

.PHONY: cross
cross: # everything we say we build for
	for os in linux darwin windows; do for arch in amd64 arm64; do echo "$$os/$$arch"; GOOS=$$os GOARCH=$$arch CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/rafka || exit 1; done; done

.PHONY: staticcheck
staticcheck:
	$(GO) run $(STATICCHECK) ./...

.PHONY: staticcheck-there
staticcheck-there: # whether it can be had: it comes over the network the first time
	@$(GO) run $(STATICCHECK) -version >/dev/null

.PHONY: race
race:
	$(GO) test -race -short -timeout 30m ./...

.PHONY: fuzz
fuzz: # every fuzz target for FUZZTIME
	script/fuzz $(FUZZTIME)

.PHONY: explore
explore: # the random tests with random seeds, EXPLORE times each; CI takes the same seeds every time
	script/explore $${EXPLORE:-10}

.PHONY: sim
sim: # whole clusters from seeds, under every fault, with checkers; RAFKA_SIM_SEEDS of them
	RAFKA_SIM_SEEDS=$${RAFKA_SIM_SEEDS:-5000} $(GO) test -count=1 -timeout 60m ./internal/sim

.PHONY: chaos
chaos: # real brokers in network namespaces (root): kill, freeze, cuts, delay, loss, full disks; RAFKA_CHAOS_ROUNDS of them
	RAFKA_CHAOS_ROUNDS=$${RAFKA_CHAOS_ROUNDS:-20} $(GO) test -count=1 -timeout 60m ./test/chaos

.PHONY: crash
crash: # kill -9 on the real binary, one broker and three, many times; and many seeds of the crashing file system
	RAFKA_LONG=1 RAFKA_CRASH_ROUNDS=$${RAFKA_CRASH_ROUNDS:-40} $(GO) test -count=1 -timeout 20m -run 'Kill|ClusterKeeps|Upgrade|Voters' ./test/crash
	$(GO) test -count=$${RAFKA_CRASH_SEEDS:-20} -timeout 20m -run 'Crash|Durable' ./internal/storage/seglog ./internal/storage/memlog -logtest.crashsteps=150

.PHONY: abuse
abuse: # the long forms of what is done to the real binary: floods, bombs, full disks (root), 10,000 partitions; about three minutes
	RAFKA_LONG=1 $(GO) test -count=1 -timeout 20m ./test/abuse

.PHONY: clients
clients: # real clients that can be installed here: kcat, Kafka's tools, Java programs, Kafka Streams, confluent-kafka, kafkajs; skips what is missing
	RAFKA_CLIENTS=1 $(GO) test -count=1 -timeout 20m -parallel 4 ./test/clients

.PHONY: clients-cluster
clients-cluster: # the same clients against three brokers; then the quick ones while these are restarted one after another all the time
	RAFKA_CLIENTS=1 RAFKA_CLIENTS_NODES=3 $(GO) test -count=1 -timeout 20m -parallel 2 ./test/clients
	RAFKA_CLIENTS=1 RAFKA_CLIENTS_NODES=3 RAFKA_CLIENTS_ROLL=1 $(GO) test -count=1 -timeout 20m -parallel 1 -run 'Kcat|JavaPrograms/Pipe|JavaPrograms/Group_classic' ./test/clients

.PHONY: bench
bench:
	$(GO) test -run '^$$' -bench . -benchmem ./internal/record ./internal/storage/... ./internal/broker ./internal/server/...

.PHONY: ci
ci:
	script/ci
