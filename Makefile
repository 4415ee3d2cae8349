# Run `make` alone to see what there is.

# The version stands in one place, the first entry of CHANGELOG.md.
VERSION  := $(shell sed -n 's/^\#\# \([^ ]*\) .*/\1/p' CHANGELOG.md | head -n 1)
COMMIT   := $(or $(shell git rev-parse --short=12 HEAD 2>/dev/null),unknown)
FUZZTIME ?= 5s
CRASHTIME ?= 24h
TIME     ?= 1h
RACE     ?= -race

GO       ?= go
TOOL     := $(GO) tool -modfile=tools/go.mod
LDFLAGS  := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
PROGRAMS := airbridged airbridgectl airsim
CHECKED  := $(shell find . \( -name '*.sh' -o -path './packaging/completion/*.bash' -o -path './packaging/init/*' -o -name '*.post*' -o -name '*.preinst' -o -name '*.prerm' \) -not -path "./bin/*" -not -path "./build/*" -not -path "*/testdata/*") .ci/run

include packaging/packaging.mk
include deploy/systemd/systemd.mk

NEED_CC   = if [ -n '$(RACE)' ] && ! command -v "$$($(GO) env CC)" >/dev/null; then \
	    echo 'the race detector needs a C compiler: apt-get install gcc libc6-dev, or add RACE= to go without'; exit 1; fi

# The commit is passed by hand, so that a tarball builds as well as a clone, and
# a clone that belongs to somebody else as well as one's own.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help build demo quick test compiler patience first-hour fmt format vet lint imports depguard staticcheck errcheck vulns unit promtool picture fuzz e2e mqtt-clients web vm vm-long simulate seeds crash soak bench clean

##@ To begin with

help: ## this list
	@echo 'make TARGET, where TARGET is:'
	@sed -n -e 's/^##@ \(.*\)/@|\1/p' -e 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
	    if [ "$$name" = @ ]; then printf '\n%s\n' "$$text"; else printf '  %-16s%s\n' "$$name" "$$text"; fi; done

build: ## bin/airbridged, bin/airbridgectl and bin/airsim: static, stripped, with version and commit; ARCH=armhf for another
	@for p in $(PROGRAMS); do \
	    echo "== build: $(BIN)/$$p $(VERSION) ($(COMMIT))"; \
	    $(GOENV) CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o "$(BIN)/$$p" "./cmd/$$p"; \
	done

patience:
	@if [ ! -x '$(BIN)/airbridged' ]; then echo '== the first build takes a minute or two: it compiles what the programs are made of'; fi

demo: patience build ## the way of a message on a simulated module; ONCE=1 ends it when all is shown
	@scripts/demo.sh

quick: fmt vet depguard ## while you work: format, vet, import rules, unit tests without race; about a minute, less where little changed
	@echo '== quick: go test'
	@$(GO) test $$($(GO) list ./... | grep -vE '/internal/(e2e|simulation)')

compiler:
	@$(NEED_CC)

test: compiler fmt vet lint units licenses check-package installed unit promtool fuzz e2e seeds ## everything that CI checks
	@echo '== all checks passed'

##@ One check at a time

fmt: ## formatting, by gofumpt (make format repairs it)
	@echo '== fmt: gofumpt -l .'
	@bad=$$($(TOOL) gofumpt -l .); if [ -n "$$bad" ]; then echo "$$bad"; echo 'not formatted; run: make format'; exit 1; fi

format: ## rewrite the files that fmt complains about
	$(TOOL) gofumpt -l -w .

vet: ## go vet
	@echo '== vet: go vet ./...'
	@$(GO) vet ./...
	@$(GO) -C tools vet ./...

lint: imports staticcheck errcheck ## import rules, staticcheck (unused code too), errors, and shellcheck where it is installed
	@if command -v shellcheck >/dev/null; then echo '== lint: shellcheck'; shellcheck $(CHECKED); else echo '== lint: shellcheck is not installed, skipped'; fi

depguard: ## who may import whom (.depguard.yaml)
	@echo '== imports: depguard ./...'
	@$(TOOL) depguard ./...

imports: depguard ## the same, proof that every rule bites, and direct dependencies
	@echo '== imports: every rule bites, and go.mod names who it should'
	@$(GO) -C tools test -count=1 ./importrules ./dashboard

staticcheck: ## staticcheck, at the version of tools/go.mod
	@echo '== staticcheck ./...'
	@$(TOOL) staticcheck ./...
	@cd tools && $(GO) tool staticcheck ./...

errcheck: ## errors that nobody looks at (.errcheck), or that are compared as if nobody wrapped them
	@echo '== errcheck, errorlint ./...'
	@$(TOOL) errcheck -ignoretests -exclude .errcheck ./...
	@$(TOOL) go-errorlint -test=false ./...
	@cd tools && $(GO) tool errcheck -ignoretests -exclude ../.errcheck ./... && $(GO) tool go-errorlint -test=false ./...

vulns: ## known vulnerabilities of what is linked, where Go's database of them can be reached
	@scripts/vulns.sh

##@ Tests

unit: ## every test but the end-to-end ones, under the race detector, in random order (RACE= without)
	@echo '== unit: go test $(RACE) -shuffle=on'
	@$(NEED_CC)
	@$(GO) test $(RACE) -shuffle=on -timeout 20m $$($(GO) list ./... | grep -v /internal/e2e)

promtool: ## the alert rules and the tests of every alert, by Prometheus' own tool, where it is installed
	@if ! command -v promtool >/dev/null; then echo '== promtool: not installed (Debian 12: apt-get install prometheus; later: promtool), skipped'; else \
	    echo '== promtool: check rules, test rules'; \
	    promtool check rules deploy/prometheus/airbridged.rules.yml; \
	    promtool test rules deploy/prometheus/airbridged.rules_test.yml; fi

first-hour: build ## docs/first-hour.md, as scripts/first-hour.sh plays it now, as root
	@scripts/first-hour.sh bin >docs/first-hour.md.new && mv docs/first-hour.md.new docs/first-hour.md

picture: build ## docs/dashboard.svg and -2: the dashboard's queries, drawn from MINUTES (12) of a simulated gateway with faults
	@scripts/dashboard.sh

fuzz: ## every fuzz target for FUZZTIME (5s), at most FUZZTOTAL (240) seconds together
	@FUZZTIME='$(FUZZTIME)' scripts/fuzz.sh

e2e: ## end to end: the real programs on pseudo-terminals, built with the race detector (RACE= without)
	@$(NEED_CC)
	@echo '== e2e: go test $(RACE) ./internal/e2e'
	@# They wait for time-outs more than they compute: six at a time, whatever the machine has.
	@$(GO) test $(RACE) -count=1 -timeout 20m -parallel 6 ./internal/e2e/...

mqtt-clients: ## real MQTT clients that CI does not install, against the daemon: paho for Python (Debian's), mqtt.js (npm), a bridge that repeats
	@$(NEED_CC)
	@dir='$(abspath bin/mqtt-clients)'; mkdir -p "$$dir"; \
	    [ -d "$$dir/node_modules/mqtt" ] || npm --prefix "$$dir" install --no-audit --no-fund mqtt@5.16.0; \
	    MQTT_CLIENTS="$$dir" $(GO) test $(RACE) -count=1 -timeout 15m -v -run 'TestMosquitto|TestPaho|TestWillAndKill|TestMQTTJS|TestABridgeThatRepeats' ./internal/e2e

web: ## both pages in a headless Chromium, which CI does not install (Debian: chromium, nodejs; npm: playwright-core); takes their pictures for docs
	@command -v '$(or $(CHROMIUM),chromium)' >/dev/null || { echo 'web: there is no Chromium: apt-get install chromium, or CHROMIUM=PATH'; exit 1; }
	@dir='$(abspath bin/web)'; mkdir -p "$$dir"; \
	    [ -d "$$dir/node_modules/playwright-core" ] || npm --prefix "$$dir" install --no-audit --no-fund playwright-core@1.61.0; \
	    WEB_BROWSER="$$dir" WEB_SHOTS='$(abspath docs)' $(GO) test -count=1 -timeout 10m -v -run 'Chromium|TestPages|TestPicturesOfThePages' ./internal/e2e

vm: ## real kernels under qemu: serial drivers, unplugging, power cuts, the reset line; ROUNDS=20, CUTS=51; writes docs/tested-on.md; VM_CACHE=DIR (build/vm) keeps the kernels
	@echo '== vm: go test ./internal/e2e/vm'
	@mkdir -p '$(or $(VM_CACHE),build/vm)'
	@AIRBRIDGED_VM=1 AIRBRIDGED_VM_CACHE='$(abspath $(or $(VM_CACHE),build/vm))' AIRBRIDGED_VM_REPORT='$(abspath docs/tested-on.md)' ROUNDS='$(ROUNDS)' CUTS='$(CUTS)' \
	    $(GO) test -count=1 -v -timeout 0 ./internal/e2e/vm

vm-long: ## the same with 200 times unplugged and 1,000 power cuts: hours
	@$(MAKE) --no-print-directory vm ROUNDS=200 CUTS=1000

##@ Until you stop them

simulate: ## days of a gateway under random faults: SEEDS=n from FIRST=m on, SECONDS=s at most; SEED=n replays one
	@echo '== simulate: go test -run TestSimulation ./internal/simulation, days of $(or $(HOURS),24) hours'
	@SEED='$(SEED)' SEEDS='$(SEEDS)' FIRST='$(FIRST)' SECONDS='$(or $(SECONDS),0)' HOURS='$(or $(HOURS),24)' TIMELINE='$(TIMELINE)' LINES='$(LINES)' \
	    $(GO) test -count=1 -timeout 0 -v -run '^TestSimulation$$' ./internal/simulation

seeds: ## the days that CI lives: short ones, and always the same; and that a day replays
	@echo '== seeds: go test -run TestASeedReplays ./internal/simulation'
	@$(GO) test -count=1 -run '^TestASeedReplays$$' ./internal/simulation
	@$(MAKE) --no-print-directory simulate SEEDS=600 HOURS=6

crash: ## cut the outbox's power until stopped, or for CRASHTIME (default 24h); prints how many images ran clean
	@echo '== crash: go test -run TestCrashForever, CRASHTIME=$(CRASHTIME)'
	@CRASH_TIME='$(CRASHTIME)' $(GO) test -count=1 -timeout 0 -v -run '^TestCrashForever$$' ./internal/outbox

soak: ## daemon and simulator under faults for TIME (1h), by SEED=n; what grew, was lost or falsely acknowledged; plot in SOAKDIR (bin/soak)
	@echo '== soak: go test -run TestSoak, TIME=$(TIME)'
	@SOAK_TIME='$(TIME)' SOAK_SEED='$(SEED)' SOAK_DIR='$(abspath $(or $(SOAKDIR),bin/soak))' $(GO) test -count=1 -timeout 0 -v -run '^TestSoak$$' ./internal/e2e

bench: ## benchmarks: engine, parsers, and the programs end to end, with their sizes for amd64 and armv7
	@echo '== bench: go test -bench .'
	@$(GO) test -run '^$$' -bench . -benchmem -timeout 30m ./...
	@echo '== bench: the outbox beside bbolt and SQLite (BENCHDIR=$(or $(BENCHDIR),the temporary directory))'
	@$(GO) -C bench/outbox run . -dir '$(BENCHDIR)'

##@ Else

clean: ## remove what was built
	rm -rf bin build dist
