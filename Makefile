# Two commands: `make up` runs the store, `make test` passes every test. Both set up what they need.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.locked
UV := $(VENV)-uv/bin/uv

.PHONY: help setup up test test-quick check format bench contracts image kind-up kind-down clean

help: ## what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed ($(PYTHON) is older): make PYTHON=python3.12 up"; exit 1; }
	@$(PYTHON) -m venv $(VENV)-uv || { echo "the venv module is missing: on Debian, apt-get install python3-venv"; exit 1; }
	@$(VENV)-uv/bin/pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'

$(STAMP): pyproject.toml uv.lock | $(UV)
	@UV_PYTHON_DOWNLOADS=never $(UV) sync --quiet --locked --python $(PYTHON)
	@touch $(STAMP)

setup: $(STAMP) ## the virtual environment, from the lock file

up: setup ## run the whole store on this machine (settings: AGENT_STORE_… variables, see docs/settings.md)
	@exec $(BIN)/agent-store up

test: setup ## every test; as root on Debian it installs the components that tests use
	@bash tests/components.sh
	@$(BIN)/pytest -n 2 --dist loadgroup

test-quick: setup ## unit and agent tests only: no service, under a minute
	@$(BIN)/pytest tests/unit tests/agents -m "not slow" --store=sqlite

check: setup ## format, lint, types, layers, dependencies, contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports
	@$(BIN)/deptry src
	@$(BIN)/agent-store contracts export --check
	@$(BIN)/agent-store crd export --check

format: setup ## format and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup ## every figure beside its reference, in one run
	@$(BIN)/python -m tests.bench

contracts: setup ## write docs/contracts/ anew
	@$(BIN)/agent-store contracts export

image: ## build the container image with docker, podman or buildah (docs/image.md)
	@hack/image

kind-up: ## a kind cluster with Knative, RabbitMQ and the store in it, and its first message (docs/kind.md)
	@hack/kind up

kind-down: ## delete that cluster with all that is in it
	@hack/kind down

clean: ## remove the environment and build output (never the data)
	rm -rf $(VENV) $(VENV)-uv build dist .pytest_cache .ruff_cache
