# The commands of this project; `make help` lists them. CI runs what people run.

SHELL := /bin/bash
CARGO ?= cargo

.PHONY: help run test test-service test-traces test-holds test-client test-browser test-contract test-django test-frameworks deploy-check image image-test soak fuzz mutants coverage lint format openapi picture release release-test bench scale clean

help: ## List the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: ## Run everything on this machine, with nothing configured
	@scripts/needs cargo
	@echo "Building the service (the first time takes 5 to 10 minutes, later ones seconds) ..."
	@$(CARGO) build --locked --bin readdress
	@scripts/build-web
	@exec target/debug/readdress dev

test: test-service test-traces test-client test-browser test-contract test-django test-frameworks deploy-check ## Run every test; what is missing on this machine is named and left out

test-service: ## Test the service; on each database that is there (TEST_POSTGRES_URL, or one on this machine)
	@scripts/needs cargo
	@postgres=$$(scripts/test-postgres) && mysql=$$(scripts/test-mysql) && scripts/test-proxies && \
	  export TEST_POSTGRES_URL=$$postgres TEST_MYSQL_URL=$$mysql && set -x && $(CARGO) test --locked --workspace

test-traces: ## Test traces over OTLP, in a build of their own
	@scripts/needs cargo
	$(CARGO) test --locked --features otel --test traces

test-holds: ## Of those, abuse, faults, crashes and races alone (make soak: in full volume)
	@scripts/needs cargo
	@postgres=$$(scripts/test-postgres) && mysql=$$(scripts/test-mysql) && scripts/test-proxies && \
	  export TEST_POSTGRES_URL=$$postgres TEST_MYSQL_URL=$$mysql && set -x && $(CARGO) test --locked --test integration -- holds::

test-client: ## Test the TypeScript client and the pages
	@scripts/client-test

test-browser: ## Test the whole story in Chromium
	@scripts/needs cargo
	@scripts/browser-test

test-contract: ## Hold the OpenAPI document to its word
	@scripts/needs cargo
	@scripts/contract-test

test-django: ## Walk the example beside Django
	@scripts/needs cargo
	@scripts/django-test

deploy-check: ## Check alerts, manifests, unit and compose file in deploy/
	@scripts/needs cargo
	@scripts/deploy-check

test-frameworks: ## Change an address in tables that Devise and Laravel made
	@scripts/needs cargo
	@scripts/frameworks-test

image: ## Build the container image readdress:VERSION, with Docker or podman
	@scripts/image

image-test: ## Build the container image and walk a change through it
	@scripts/needs cargo
	@scripts/image-test

soak: ## Hold the service against abuse, faults and races in full volume (hours); SOAK_SCALE=100 for a hundredth
	@scripts/needs cargo
	@scripts/soak

fuzz: ## Look for input that breaks a reader, ten minutes a target (FUZZ_SECONDS=60: a minute); needs cargo-fuzz
	@scripts/needs cargo
	@scripts/fuzz

mutants: ## Break the code a line at a time and see that a test fails (hours); needs cargo-mutants
	@scripts/needs cargo
	@scripts/mutants

coverage: ## Count the lines that tests reach in links, flow, users, passwords and limits; needs LLVM's tools
	@scripts/needs cargo
	@scripts/coverage

lint: ## Check format, lints and the crates
	@scripts/needs cargo
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --features otel --lib --bin readdress --test traces -- -D warnings
	@scripts/lint-crates

format: ## Put the code into its format
	$(CARGO) fmt --all

openapi: ## Write the OpenAPI document from the code, and the client from the document
	@scripts/needs cargo
	@$(CARGO) build --locked --quiet --bin readdress
	@target/debug/readdress openapi > target/readdress.json && mv target/readdress.json openapi/readdress.json
	@scripts/generate-client

picture: ## Compose the picture in the README from what the browser tests took
	@scripts/picture

release: ## Build what is published with a version, into target/release-VERSION
	@scripts/needs cargo
	@scripts/release

release-test: ## Build a release twice, in two folders, and compare the bytes (twice some 15 minutes)
	@scripts/needs cargo
	@scripts/release-test

bench: ## Measure what a change costs (builds what is shipped first: some 20 minutes)
	@scripts/needs cargo
	$(CARGO) rustc --locked --profile dist --bin readdress -- -C opt-level=3
	@url=$$(scripts/test-postgres) && export TEST_POSTGRES_URL=$$url BENCH_BINARY=$$PWD/target/dist/readdress && set -x && $(CARGO) bench --locked --bench parts -- --noplot && $(CARGO) bench --locked --bench flow

scale: ## Measure replicas, a pooler and tables of ten million rows (some 15 minutes, 8 GB)
	@scripts/needs cargo
	@scripts/scale

clean: ## Remove what was built, and the data of `make run`
	$(CARGO) clean
	rm -rf .readdress
