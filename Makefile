# Rollcall. `make` lists what can be done; everything needed beside Go, make
# and git is fetched as pinned Go modules (tools/), the C compiler that the race
# detector needs by .ci/prepare.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME  ?= 20s
HTTP_ADDR ?= 127.0.0.1:8470
GRPC_ADDR ?= 127.0.0.1:8471

LDFLAGS := -s -w -X github.com/rollcall-itam/rollcall/pkg/buildinfo.version=$(VERSION)
# grpcnotrace leaves out a debugging page of gRPC and all that it drags along.
GO_BUILD := CGO_ENABLED=0 go build -trimpath -tags grpcnotrace -ldflags '$(LDFLAGS)'

.PHONY: help build run test bench generate lint clean
.PHONY: program packages test-packages
.PHONY: prepare check-generated check-run vet cross race fuzz

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS=$$'\t' read -r name text; do printf '  make %-16s %s\n' "$$name" "$$text"; done

build: ## build bin/rollcall-agent, bin/rollcall-collector and bin/rollcall
	$(GO_BUILD) -o bin/rollcall-agent ./agent
	$(GO_BUILD) -o bin/rollcall-collector ./collector
	$(GO_BUILD) -o bin/rollcall ./collector/ctl

run: build ## show this machine as an asset: collector, agent, table (HTTP_ADDR=, GRPC_ADDR=, RUN_ONCE=1)
	@HTTP_ADDR='$(HTTP_ADDR)' GRPC_ADDR='$(GRPC_ADDR)' .ci/demo

test: ## everything that CI checks: the targets below, each timed
	@FUZZTIME='$(FUZZTIME)' .ci/test

bench: build ## measure: Go benchmarks, then collect beside the inventory agents installed here
	@.ci/bench

generate: ## write the code generated from proto/ anew
	go tool -modfile=tools/buf/go.mod buf generate

program: # build SOURCE into OUTPUT, for installers/build
	@$(GO_BUILD) -o '$(OUTPUT)' $(SOURCE)

packages: ## build deb, rpm, apk, MSI and archives for all systems into dist (PLATFORMS="linux/amd64 ...")
	@VERSION='$(VERSION)' installers/build

test-packages: ## build the packages of one system twice, compare, install them into scratch roots, run them
	@.ci/packages

clean: ## remove what was built and the scratch folder of `make run`
	rm -rf bin dist scratch .cache

prepare: ## install what the checks need and this machine lacks
	@.ci/prepare

check-generated: ## check that the generated code is what proto/ says
	@.ci/generated

lint: ## gofmt, buf lint, golangci-lint
	@.ci/lint

vet: ## go vet, for every operating system that the agent runs on
	go vet ./...
	CGO_ENABLED=0 GOOS=darwin go vet ./agent/... ./pkg/...
	CGO_ENABLED=0 GOOS=windows go vet ./agent/... ./pkg/...

cross: ## build the agent for every system that it is handed out for
	@.ci/cross

# The longest come first, beside the others; they wait for disks and processes now
# and then, which one package more fills. vet has looked at all of it.
race: ## all tests, under the race detector
	go test -race -vet=off -p $$(( $$(nproc) + 1 )) -timeout 20m ./pkg/systest ./collector ./collector/kv/badgerkv ./...

check-run: build ## check that `make run` shows an asset, and the same one again
	@.ci/check-run

fuzz: ## every fuzz target, for FUZZTIME (20s), FUZZTIME_SOME (10s) or FUZZTIME_REST (1s)
	@FUZZTIME='$(FUZZTIME)' .ci/fuzz
