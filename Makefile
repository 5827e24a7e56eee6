# Every recipe is one line; the work is done in deploy/local.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The first of python3.13, 3.12, 3.11 and python3 that really runs. Another one: make up PYTHON=/path/to/python3
PYTHON ?= $(shell bash deploy/local/python.sh)
# Arguments for the tool behind a target, e.g. make unit ARGS='-k login -x'
ARGS ?=

# `false` when no Python was found: the reason has been printed already.
local = exec "$(or $(PYTHON),false)" -m deploy.local
service = bash deploy/local/env.sh python -m lib.cli

.PHONY: help up down clean distclean test unit integration contract e2e faults bench fmt check migrate shell mail logs

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

up: ## Prepare and run the whole system in the foreground; Ctrl-C stops it
	@$(local) up

down: ## Stop a running system of this checkout, and leftovers
	@$(local) down

clean: ## Stop, and remove .local (all local data) and caches
	@$(local) clean

distclean: ## As clean, and remove .venv too
	@$(local) distclean

test: ## Run all tests on private servers and ports (ARGS=… for pytest)
	@$(local) tests test $(ARGS)

unit: ## Run the unit tests: no server needed
	@$(local) tests unit tests/unit $(ARGS)

integration: ## Run the tests on real PostgreSQL, RabbitMQ and Redis
	@$(local) tests integration tests/integration $(ARGS)

contract: ## Check the events' golden samples on both sides
	@$(local) tests contract tests/contract $(ARGS)

e2e: ## Run the journeys through the whole system
	@$(local) tests e2e tests/e2e $(ARGS)

faults: ## Run the tests that stop and kill servers and processes
	@$(local) tests faults -m faults $(ARGS)

bench: ## Measure rates, latencies, CPU and memory, ours beside the peers, on private servers
	@$(local) tests bench $(ARGS)

fmt: ## Format the code and fix what can be fixed automatically
	@$(local) check fmt

check: ## Lint, formatting, types, import rules
	@$(local) check

migrate: ## Bring the databases of the running system up to date
	@$(service) auth_svc migrate && $(service) users_svc migrate && $(service) payments_svc migrate

shell: ## Open `nameko shell` on the running system: n.rpc.users_svc.get_user(…)
	@exec bash deploy/local/env.sh env PYTHONWARNINGS=ignore nameko shell --config config.yaml

mail: ## Show the newest mail of the development mailbox (ARGS="5 --to ann@example.com --kind claim")
	@$(local) mail $(ARGS)

logs: ## Follow the logs of the running system
	@tail -n 20 -F .local/log/*.log
