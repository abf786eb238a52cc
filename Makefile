# The recipes developers and CI share. `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: help run check test fuzz fuzz-smoke bench load soak soak-pipelines tools

PROFILE ?= dev
CONFIG ?= config/demo.toml

help: ## list these recipes
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: ## install what is missing, build, serve with a demo source (CONFIG=file, PROFILE=release)
	@scripts/run "$(PROFILE)" "$(CONFIG)"

check: ## formatting, lints, documentation, dependency rules
	@scripts/check

test: ## install what the tests need, run every test
	@scripts/test

fuzz: ## coverage-guided fuzzing, every target for SECONDS=60
	@scripts/fuzz "$(or $(SECONDS),60)"

fuzz-smoke: ## a few seconds of every fuzz target
	@scripts/fuzz "$(or $(SECONDS),5)"

bench: ## the benchmarks: chunks, AMF, hub fan-out
	@scripts/install-packages run
	cargo bench --workspace

load: ## publishers and players over loopback (ARGS="--help" lists the figures one can choose)
	@scripts/load $(ARGS)

soak: ## memory under load that comes and goes, for SECONDS=3600
	@scripts/soak "$(or $(SECONDS),3600)"

soak-pipelines: ## ladders over ten minutes of media, 100 publishers with a transcode that come and go
	@STREAMMILL_LADDER_SECONDS=600 STREAMMILL_LEAK_ROUNDS=100 scripts/test -E 'test(for_as_long_as_the_stream_lasts) + test(leak_nothing)' --no-capture

tools: ## install the cargo tools that check and test use
	@scripts/install-tool cargo-nextest
	@scripts/install-tool cargo-deny
