# `make` reproduces the default study; `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
CORES ?= all
STUDY ?= quickstart
WORKERS ?= auto
PROFILE ?= profiles/slurm
ORPHANS ?= wait
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
PARALLEL = -n $(WORKERS) --dist loadscope --no-loadscope-reorder
RUN := $(BIN)/snakemake --cores $(CORES)
SOURCES := workflow/lib workflow/scripts tests docs
RULES := Snakefile workflow/Snakefile workflow/rules

.PHONY: all study show audit-example gate cluster cluster-status estimate report tensorboard env test \
	test-quick fault-test fuzz verify verify-reference keep-reference cluster-test lint format benchmark \
	benchmark-scale test-peers benchmark-peers benchmark-strength benchmark-training gpu-check \
	test-wheel docs clean help
.DEFAULT_GOAL := all

all: study report ## Run the default study, print its table, build its report

study: $(VENV)/.ready ## Run a study and print its table (CONFIG=config/mnist.yaml)
	@$(RUN) $(if $(CONFIG),--configfile $(CONFIG))

show: $(VENV)/.ready ## Print a study's table (STUDY=quickstart)
	@PYTHONPATH=workflow/lib $(BIN)/python -m gauntlet.reporting.terminal results/studies/$(STUDY)

audit-example: $(VENV)/.ready ## Bring models from outside: a trained one, exported and attacked in every form
	@$(RUN) --configfile config/external.yaml

gate: $(VENV)/.ready ## Fail, with a list, unless all models reach what `requirements` asks of them
	@$(RUN) gates $(if $(CONFIG),--configfile $(CONFIG))

cluster: $(VENV)/.ready-cluster ## Run on a cluster, also after a kill (PROFILE=profiles/slurm CONFIG= ORPHANS=wait|cancel)
	@PYTHONPATH=workflow/lib $(BIN)/python -m gauntlet.runtime.cluster.launch --orphans $(ORPHANS) -- \
		--profile $(PROFILE) $(if $(CONFIG),--configfile $(CONFIG))

cluster-status: $(VENV)/.ready ## How far it has come: jobs by rule, GPU-hours
	@PYTHONPATH=workflow/lib $(BIN)/python -m gauntlet.runtime.cluster.status

estimate: $(VENV)/.ready ## Say what a study will cost before it runs (CONFIG=..., SLOTS=cores or GPUs)
	@PYTHONPATH=workflow/lib $(BIN)/python -m gauntlet.study.cost.estimate $(if $(CONFIG),--config $(CONFIG)) \
		--slots $(if $(SLOTS),$(SLOTS),$(if $(filter all,$(CORES)),$(shell nproc),$(CORES)))

report: $(VENV)/.ready ## Build results/report.html from what has been run (CONFIG=...)
	@$(BIN)/snakemake --cores 1 --report results/report.html $(if $(CONFIG),--configfile $(CONFIG))
	@echo "report   results/report.html"

tensorboard: $(VENV)/.ready ## Show trainings in TensorBoard, also those that run (PORT=6006)
	@PYTHONPATH=workflow/lib $(BIN)/python -m gauntlet.tracking.base.backfill
	@$(BIN)/tensorboard --logdir logs/tracking/tensorboard --host localhost --port $(or $(PORT),6006)

env: $(VENV)/.ready ## Create .venv from the pinned lock

$(VENV)/.ready: envs/requirements.txt envs/lock.txt pyproject.toml
	@echo "Installing the pinned environment into $(VENV) (PyTorch is large: some minutes)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Gauntlet needs Python 3.11 or newer; set PYTHON=")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.ready-cluster: $(VENV)/.ready envs/requirements-cluster.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/requirements-cluster.txt
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready envs/requirements-dev.txt envs/requirements-cluster.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/requirements-dev.txt
	@touch $@

test: $(VENV)/.ready-dev ## Run all tests (WORKERS=auto: one for every core)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest $(PARALLEL)

test-quick: $(VENV)/.ready-dev ## Run the tests that neither start Snakemake nor take long
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest $(PARALLEL) -m "not workflow and not slow"

fault-test: $(VENV)/.ready-dev ## Kill jobs and Snakemake at random moments, compare all results (KILLS=30)
	@PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH=.:workflow/lib:workflow/scripts \
		$(BIN)/python -m tests.faults.kill_jobs --kills $(or $(KILLS),30) $(if $(SEED),--seed $(SEED))

fuzz: $(VENV)/.ready-dev ## Try to break certificates of random networks (COUNT=10000 SEED=0)
	@PYTHONPATH=.:workflow/lib $(BIN)/python -m tests.certify.fuzz \
		--count $(or $(COUNT),10000) --seed $(or $(SEED),0)

verify-reference: $(VENV)/.ready ## Hold a study against what is kept of it and what is published (CONFIG=...)
	@$(RUN) references $(if $(CONFIG),--configfile $(CONFIG)); code=$$?; \
		cat results/studies/*/reference.md 2>/dev/null; exit $$code

keep-reference: $(VENV)/.ready ## Keep a finished study's small results in results/reference (STUDY=quickstart)
	@PYTHONPATH=workflow/lib $(BIN)/python -m gauntlet.stages.keep_reference results/studies/$(STUDY)

verify: $(VENV)/.ready ## Find results that are not what was written (REMOVE=yes removes them)
	@PYTHONPATH=workflow/lib $(BIN)/python -m gauntlet.runtime.verify $(if $(REMOVE),--remove)

cluster-test: $(VENV)/.ready-dev ## Run the tests on a real Slurm, started here on the loopback
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -m slurm -rs

lint: $(VENV)/.ready-dev ## Check style of Python and Snakemake code
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/snakefmt --check $(RULES)
	@$(BIN)/snakemake --lint

format: $(VENV)/.ready-dev ## Format Python and Snakemake code
	@$(BIN)/ruff check --fix $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/snakefmt $(RULES)

benchmark: $(VENV)/.ready-dev ## Measure speed, as ratios
	@PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH=workflow/lib:workflow/scripts $(BIN)/python -m tests.benchmarks.speed
	@PYTHONPATH=workflow/lib:workflow/scripts $(BIN)/python -m tests.benchmarks.certify

benchmark-scale: $(VENV)/.ready-dev ## Measure plans of up to 50,000 jobs, and schedules on 64 GPUs (OPTIONS=--help)
	@PYTHONPATH=workflow/lib:workflow/scripts $(BIN)/python -m tests.benchmarks.scale $(OPTIONS)

$(PEERS)/.ready: $(VENV)/.ready-dev envs/requirements-peers.txt
	@echo "Installing other attack libraries into $(PEERS)"
	@$(BIN)/python -m venv $(PEERS)
	@site='import sysconfig; print(sysconfig.get_path("purelib"))'; \
		$(BIN)/python -c "$$site" > "$$($(PEERS)/bin/python -c "$$site")/gauntlet.pth"
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r envs/requirements-peers.txt
	@touch $@

test-peers: $(PEERS)/.ready ## Hold attacks against other libraries' on a small model
	@$(PEERS)/bin/python -m pytest tests/attacks/test_peers.py

benchmark-peers: $(PEERS)/.ready ## Hold attacks' speed and strength against other libraries'
	@PYTHONPATH=workflow/lib:workflow/scripts $(PEERS)/bin/python -m tests.benchmarks.peers $(OPTIONS)

benchmark-strength: $(PEERS)/.ready ## Hold `gauntlet` and `autoattack` against the official AutoAttack (OPTIONS=--help)
	@PYTHONPATH=.:workflow/lib:workflow/scripts $(PEERS)/bin/python -m tests.benchmarks.strength $(OPTIONS)

gpu-check: ## Measure a machine with CUDA, without a network (GPU_PYTHON=python3 OPTIONS="--wheels W --cifar C"; --help)
	@PYTHONPATH=.:workflow/lib:workflow/scripts $(or $(GPU_PYTHON),$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON))) \
		-m tests.benchmarks.gpu_check $(OPTIONS)

benchmark-training: $(PEERS)/.ready ## Hold the cost of adversarial training against other libraries' (OPTIONS=--help)
	@PYTHONPATH=.:workflow/lib:workflow/scripts $(PEERS)/bin/python -m tests.benchmarks.training $(OPTIONS)

test-wheel: $(VENV)/.ready-dev ## Build the wheel, install it into an empty environment and use it there
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest tests/api/test_wheel.py

docs: $(VENV)/.ready ## Write the pages that are made from the schema
	@$(BIN)/python docs/build_settings.py

clean: ## Remove results, logs and Snakemake's records (not .venv)
	rm -rf results/data results/runs results/weights results/checks results/studies results/report.html logs benchmarks \
		.snakemake .gauntlet

help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'
