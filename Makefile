# Two commands: `make up` starts the platform and makes a real transfer; `make test` runs every test there is.
# Both need Python >= 3.11 and make, nothing else. REMIT_RUN names a run: its ports, state and build are its own.

PYTHON ?= python3
REMIT_RUN ?= local
export REMIT_RUN API_PORT AWS_PORT
export PYTHONPATH := .:layers/common

BIN := .venv/bin
RUN := $(BIN)/python -m
CODE := functions layers emulator tools tests
CONTEXTS := auth accounts transfers notifications mail operations

.DEFAULT_GOAL := help
.PHONY: help env up down reset status mails verify story admin crash check format gateway lint types imports template unit test fast test-dynamodb platform e2e fuzz mutants bench capacity lock

help: ## what there is
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

env:
	@$(PYTHON) tools/environment.py

up: env ## start everything, make a real transfer, leave it running
	@$(RUN) emulator.platform up

down: env ## stop it; the data stays
	@$(RUN) emulator.platform down

reset: env ## stop it and forget the data
	@$(RUN) emulator.platform reset

status: env ## what is running, and where
	@$(RUN) emulator.platform status

mails: env ## what was mailed so far, a JSON object a line
	@$(RUN) tools.mails

verify: env ## check what must hold of the money, from the tables alone
	@$(RUN) tools.verify

story: env ## one transfer's whole life: make story ID=trf_...
	@$(RUN) tools.story $(ID)

admin: env ## make the user of a verified email an admin: make admin EMAIL=ada@example.com
	@$(RUN) tools.admin $(EMAIL)

crash: env ## kill a transfer at a step and watch it recover: make crash AT=post-after
	@$(RUN) tools.crash $(AT)

check: env ## the gate: no build, under a minute
	@$(MAKE) --no-print-directory --output-sync=target -j2 lint types imports template unit

format: env ## format the code, and fix what the linter can fix
	@$(BIN)/ruff format --quiet $(CODE)
	@$(BIN)/ruff check --quiet --fix $(CODE)

gateway: env ## write gateway.yaml and gateway-policy.yaml from the registered routes
	@$(RUN) tools.gateway

lint: env
	@$(BIN)/ruff format --check --quiet $(CODE) || { echo "Some files are not formatted: run make format."; exit 1; }
	@$(BIN)/ruff check --quiet $(CODE)

types: env
	@MYPYPATH=layers/common $(BIN)/mypy -p common -p emulator -p tools -p tests.support $(addprefix -p functions.,$(CONTEXTS))

imports: env
	@mkdir -p .remit && $(BIN)/lint-imports --no-cache > .remit/imports.log || { cat .remit/imports.log; exit 1; }

template: env
	@.venv-sam/bin/cfn-lint --regions eu-central-1 -- template.yaml templates/*.yaml
	@$(BIN)/python -m pytest tests/template -m "not build"

unit: env
	@$(BIN)/python -m pytest tests/unit -n 2

test: env ## every test there is, on a platform of its own
	@$(MAKE) --no-print-directory --output-sync=target -j2 lint types imports template
	@$(MAKE) --no-print-directory fast
	@$(MAKE) --no-print-directory test-dynamodb
	@$(MAKE) --no-print-directory platform
	@$(MAKE) --no-print-directory e2e

fast: env
	@echo "== what is drawn at random, and the simulation of a hot account; coverage would slow them down"
	@$(BIN)/python -m pytest tests/unit tests/store tests/sagas -m "hypothesis or capacity" -n 2
	@echo "== units, stores and sagas, with coverage of domain and service"
	@$(BIN)/python -m pytest tests/unit tests/store tests/sagas -m "not hypothesis and not capacity" -n 2 --cov --cov-report=
	@$(BIN)/coverage report --include='functions/*/domain.py,functions/*/domain/*,functions/*/service.py,functions/*/service/*' --fail-under=95

test-dynamodb: env ## the stores' tests against AWS's own engine (Java 17 or later)
	@echo "== the stores, against DynamoDB Local"
	@$(BIN)/python -m tests.support.dynamodb_local tests/store -n 2

e2e: env
	@echo "== the deployed template"
	@$(BIN)/python -m pytest tests/e2e
	@$(BIN)/python -m pytest tests/template -m build

platform: env ## break the launcher and kill the emulator under load
	@echo "== the launcher, broken in every way"
	@$(BIN)/python -m pytest tests/platform

fuzz: env ## the ledger by chance for MINUTES=5 (or EXAMPLES=n); SEED=n runs a lot again that failed
	@MINUTES=$(MINUTES) EXAMPLES=$(EXAMPLES) SEED=$(SEED) $(BIN)/python -m tests.unit.accounts.ledger.fuzz

mutants: env ## plant bugs in the ledger, one at a time; each has to be caught by a test
	@$(BIN)/python -m tests.mutants

bench: env ## what each use case of the ledger costs: calls and write units
	@$(BIN)/python -m tests.unit.accounts.ledger.costs

capacity: env ## what a hot account takes, on a simulated DynamoDB with its limits
	@AWS_DEFAULT_REGION=eu-central-1 STACK=remit POWERTOOLS_LOG_LEVEL=CRITICAL $(BIN)/python -m tests.unit.accounts.capacity.load

lock: env ## lock the requirements anew, hashed, naming no index
	@for name in dev sam uv; do .remit/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header requirements/$$name.in --output-file requirements/$$name.txt; done
