# The commands of this project; `make help` lists them. CI runs what people run.

SHELL := /bin/bash
CARGO ?= cargo

.PHONY: help run test test-service test-holds test-client test-browser test-contract test-django image-test soak fuzz mutants coverage lint format openapi bench clean

help: ## List the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: ## Run everything on this machine, with nothing configured
	@scripts/needs cargo
	@echo "Building the service (the first time takes 5 to 10 minutes, later ones seconds) ..."
	@$(CARGO) build --locked --bin readdress
	@scripts/build-web
	@exec target/debug/readdress dev

test: test-service test-client test-browser test-contract test-django ## Run every test; what is missing on this machine is named and left out

test-service: ## Test the service; on each database that is there (TEST_POSTGRES_URL, or one on this machine)
	@scripts/needs cargo
	@postgres=$$(scripts/test-postgres) && mysql=$$(scripts/test-mysql) && scripts/test-haproxy && \
	  export TEST_POSTGRES_URL=$$postgres TEST_MYSQL_URL=$$mysql && set -x && $(CARGO) test --locked --workspace

test-holds: ## Of those, abuse, faults, crashes and races alone (make soak: in full volume)
	@scripts/needs cargo
	@postgres=$$(scripts/test-postgres) && mysql=$$(scripts/test-mysql) && scripts/test-haproxy && \
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

lint: ## Check format and lints
	@scripts/needs cargo
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

format: ## Put the code into its format
	$(CARGO) fmt --all

openapi: ## Write the OpenAPI document from the code, and the client from the document
	@scripts/needs cargo
	@$(CARGO) build --locked --quiet --bin readdress
	@target/debug/readdress openapi > target/readdress.json && mv target/readdress.json openapi/readdress.json
	@scripts/generate-client

bench: ## Measure what a change costs (builds with optimisations first: some minutes)
	@url=$$(scripts/test-postgres) && export TEST_POSTGRES_URL=$$url && set -x && $(CARGO) bench --locked --bench flow

clean: ## Remove what was built, and the data of `make run`
	$(CARGO) clean
	rm -rf .readdress
