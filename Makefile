# Everything is installed into .tools/, built into target/ and .aws-sam/, and run from .local/.
# PORT=4566 is where the local stack listens; another is chosen if it is taken. EMULATOR=ministack|localstack is what it runs on.
SHELL := /bin/sh
PYTHON := .tools/tools/bin/python
CLI := $(abspath target/lambda/audit-export/bootstrap)
LOCAL := $(or $(AUDIT_EXPORT_LOCAL_DIRECTORY),.local)

export EMULATOR PORT

TENANT ?= acme
PERMISSIONS ?= AUDIT,AUDIT_WRITE

.DEFAULT_GOAL := help
SEEDS ?= 100000

.PHONY: bench help demo up down token test test-localstack stores sam-local sam-shell lambda-local lambda-serve sim lint fmt lock tools

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' Makefile

demo: up ## Plays two customers from ingest to the files in their buckets, on a local stack
	@AUDIT_EXPORT_CLI=$(CLI) $(PYTHON) infra/local/demo.py

up: tools ## Builds and deploys a local stack and leaves it running; .local/stack.json describes it
	@$(PYTHON) infra/local/up.py

down: tools ## Stops the local stack
	@$(PYTHON) infra/local/down.py

token: ## Prints a token for the local stack: make token TENANT=acme PERMISSIONS=AUDIT,AUDIT_WRITE
	@test -x $(CLI) || { echo "make token: run 'make up' first" >&2; exit 1; }
	@$(CLI) token sign --directory $(LOCAL)/token --tenant '$(TENANT)' --permissions '$(PERMISSIONS)'

test: tools ## Formatting, lints, unit tests, and end-to-end tests on a stack of their own
	@$(PYTHON) infra/local/checks.py test

test-localstack: tools ## The end-to-end tests on LocalStack, and what was left out there
	@$(PYTHON) infra/local/checks.py localstack

stores: tools ## The DynamoDB adapters on MiniStack and on DynamoDB Local
	@$(PYTHON) infra/local/checks.py stores

sam-local: up ## Each function once with `sam local invoke`, on the local stack; needs Docker, or root on Debian
	@$(PYTHON) infra/local/sam_local.py

sam-shell: up ## A shell in which `sam local invoke` works, on the local stack
	@$(PYTHON) infra/local/sam_local.py shell

lambda-local: up ## Each function once with `cargo lambda invoke`, on the local stack, without Docker
	@$(PYTHON) infra/local/lambda_local.py

lambda-serve: up ## Waits for functions that you start yourself, under a debugger say (docs/DEVELOPMENT.md)
	@$(PYTHON) infra/local/lambda_local.py serve

sim: ## Plays SEEDS histories of the export engine, or the one of SEED: make sim SEEDS=1000000, make sim SEED=17
	@cargo run --quiet --release --package simulation -- $(if $(SEED),--seed $(SEED),--seeds $(SEEDS)) $(if $(BUG),--bug $(BUG))

bench: tools ## Speed, memory and cold starts, side by side: make bench QUICK=1, SUITES=export,ingest, EVENTS=1000000, COPIES=10
	@$(PYTHON) infra/local/bench.py $(if $(QUICK),--quick) $(if $(SUITES),--suites $(SUITES)) $(if $(EVENTS),--events $(EVENTS)) $(if $(COPIES),--copies $(COPIES)) $(if $(ROUNDS),--rounds $(ROUNDS))

lint: tools ## Formatting and lints of Rust, Python and the template
	@$(PYTHON) infra/local/checks.py lint

fmt: tools ## Formats Rust and Python
	@cargo fmt --all
	@.tools/tools/bin/ruff format --quiet infra tests

lock: tools ## Locks the newest tools that infra/local/*.in permit
	@infra/local/lock.sh

tools:
	@infra/local/bootstrap.sh
