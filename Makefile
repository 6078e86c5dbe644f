# Every command of the project. `make help` lists them.
SHELL := /bin/bash
VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= python3.11
PROTOS := $(shell find protos -name '*.proto')
RPC_PROTOS := protos/kyara/stage/v1/stage.proto protos/kyara/jobs/v1/jobs.proto
MEMBERS := $(patsubst %/pyproject.toml,%,$(wildcard libs/*/pyproject.toml services/*/pyproject.toml))
.DEFAULT_GOAL := help

.PHONY: help
help:  ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: setup
setup: $(VENV)/.ready  ## Make the virtual environment with everything, pinned
$(VENV)/.ready: constraints.txt tests/requirements.txt tests/requirements-peers.txt $(MEMBERS:%=%/pyproject.toml)
	@began=$$(date +%s); set -e; \
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); \
	pip="$(BIN)/python -m pip install -q --disable-pip-version-check"; \
	$$pip -c constraints.txt hatchling editables; \
	$$pip -c constraints.txt -r tests/requirements.txt --no-build-isolation $(MEMBERS:%=-e ./%) \
	  -e "libs/inference[server]" -e "libs/miniature[train]" -e "services/cli[local]"; \
	$$pip --no-deps -r tests/requirements-peers.txt; \
	echo $$(( $$(date +%s) - began )) > $(VENV)/setup_seconds; touch $@; \
	echo "set up in $$(cat $(VENV)/setup_seconds) s; the commands are in $(BIN), kyara first of all"

.PHONY: demo
demo: setup  ## Magnet link to scored LoRAs on an episode of our own, measured: out/demo
	$(BIN)/kyara demo --setup-seconds $$(cat $(VENV)/setup_seconds)

.PHONY: up
up: setup  ## Run Kyara on this machine
	$(BIN)/kyara up

# Three processes on two cores: tests wait for servers most of the time.
.PHONY: test
test: setup  ## All quick tests
	$(BIN)/python -m pytest -m "not slow" -n 3

.PHONY: e2e
e2e: setup  ## Whole jobs and wrong input, through a real kyara up
	$(BIN)/python -m pytest -m slow tests/e2e

.PHONY: chaos-smoke
chaos-smoke: setup  ## Kill -9 each part once in the middle of a job: same digests
	$(BIN)/python -m pytest -m slow tests/chaos/test_kill_anything.py

.PHONY: chaos
ROUNDS ?= 100
chaos: setup  ## Kill -9 or freeze a random process in each of 100 rounds, a job each: same digests. ROUNDS=10
	$(BIN)/python -m tests.chaos.rounds --rounds $(ROUNDS)

.PHONY: chaos-season
chaos-season: setup  ## Kill -9 each stage's server in the middle of a season: same digests
	$(BIN)/python -m pytest -m slow tests/chaos/test_season.py

# Triton's Python needs another NumPy, so it has an environment of its own.
TRITON_VENV := .venv-triton
$(TRITON_VENV)/.ready: tests/requirements-triton.txt constraints.txt
	@set -e; test -x $(TRITON_VENV)/bin/python || $(PYTHON) -m venv $(TRITON_VENV); \
	$(TRITON_VENV)/bin/python -m pip install -q --disable-pip-version-check --no-deps \
	  -r tests/requirements-triton.txt $$(grep '^onnxruntime==' constraints.txt); touch $@

.PHONY: test-triton
test-triton: setup $(TRITON_VENV)/.ready  ## The real tritonserver in the embedded server's place: same answers, same job
	$(BIN)/python -m pytest -m slow -s tests/triton
	$(BIN)/python -m tests.bench.triton

.PHONY: load
load: setup  ## 1,000 small jobs at once, 10,000 jobs listed by page: out/load
	$(BIN)/python -m tests.load

.PHONY: test-scaling
test-scaling: setup  ## A simulated Ray cluster: nodes from none to four and back, one lost, a head lost: out/scaling
	$(BIN)/python -m pytest -m slow -s tests/scaling

.PHONY: test-workers
test-workers: setup  ## One training on several workers by Ray Train: what one gives with accumulation, one killed, one with NaN
	$(BIN)/python -m pytest -m slow services/trainer/tests/test_several_workers.py

.PHONY: scaling-costs
scaling-costs: setup  ## What a small job costs the store, Temporal, Ray and the models, at a thousand graphics cards
	$(BIN)/python -m tests.scaling.costs

.PHONY: check
check: setup  ## Format, lint, types, walls, protos
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/buf breaking protos --against protos/released.binpb
	@$(MAKE) -s protos && git diff --exit-code --stat -- libs/api
	$(BIN)/python -m charts.generate --check

.PHONY: check-chart
check-chart: setup  ## The Helm chart: lint, schemas, policies, typos, and the bundled servers for real
	$(BIN)/python -m charts.generate --check
	$(BIN)/python -m pytest tests/charts

.PHONY: chart
chart: setup  ## Generate the chart's values.schema.json and tables from values.yaml and the settings classes
	$(BIN)/python -m charts.generate

.PHONY: protos
protos:  ## Generate libs/api from protos/
	@rm -rf libs/api/src/kyara
	@$(BIN)/python -m grpc_tools.protoc -Iprotos -Ithird_party/googleapis --python_out=libs/api/src \
	  --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy --mypy_out=quiet:libs/api/src $(PROTOS)
	@$(BIN)/python -m grpc_tools.protoc -Iprotos -Ithird_party/googleapis --grpc_python_out=libs/api/src \
	  --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc --mypy_grpc_out=quiet:libs/api/src $(RPC_PROTOS)

.PHONY: release-protos
release-protos:  ## Take today's protos as what later ones must not break
	$(BIN)/buf build protos -o protos/released.binpb

.PHONY: models
models: setup  ## Train the miniature models anew (up to 2 hours)
	$(BIN)/python -m kyara_miniature.train all
	$(BIN)/python -m kyara_inference.builtin_digests

.PHONY: bench
bench: setup  ## Kyara's own work against a peer, with ratios
	$(BIN)/python -m tests.bench

.PHONY: images
CONTAINER ?= docker
IMAGES ?= $(filter-out local,$(notdir $(patsubst %/pyproject.toml,%,$(wildcard services/*/pyproject.toml))))
VERSION := $(shell sed -n 's/^appVersion: *//p' charts/kyara/Chart.yaml)
images:  ## Build kyara-<service> for each service. CONTAINER=podman, IMAGES="jobs cli", BUILD="--build-arg BASE=..."
	@for service in $(IMAGES); do \
	  $(CONTAINER) build $(BUILD) --build-arg SERVICE=$$service -t kyara-$$service:$(VERSION)$(SUFFIX) . || exit 1; \
	done

.PHONY: images-cuda
images-cuda:  ## Build the images of Ray's nodes with CUDA
	@$(MAKE) -s images IMAGES="trainer evaluator" SUFFIX=-cuda BUILD="--build-arg TORCH_INDEX= $(BUILD)"

.PHONY: test-report
test-report: setup  ## The page of a run in a real Chromium, on a phone and on a desk: screenshots in out/report
	@command -v chromium >/dev/null || $(BIN)/playwright install chromium
	$(BIN)/python -m pytest -m slow tests/browser

.PHONY: test-images
test-images: setup  ## Images and pods: build three on a base made here, play them with podman, see jobs through
	$(BIN)/python -m pytest -m slow tests/images

.PHONY: accuracy-video
accuracy-video: setup  ## From episodes to characters against the truth: out/accuracy-video
	$(BIN)/python -m tests.accuracy.video

.PHONY: accuracy-web
accuracy-web: setup  ## From a site's pictures with dirt to one character's dataset, against the truth: out/accuracy-web
	$(BIN)/python -m tests.accuracy.web

.PHONY: accuracy-train
accuracy-train: setup  ## v1.0, v1.3 and v1.4 on the same characters, asked about pictures that none has seen: out/accuracy-train
	$(BIN)/python -m tests.accuracy.train

.PHONY: accuracy-evaluate
accuracy-evaluate: setup  ## Saves that are underfit, good, overfit and deaf by construction, and which is chosen: out/accuracy-evaluate
	$(BIN)/python -m tests.accuracy.evaluate

.PHONY: bench-video
bench-video: setup  ## Key frames, figures and clustering beside peers, with ratios: out/bench-video
	$(BIN)/python -m tests.bench.video

.PHONY: bench-train
bench-train: setup  ## A LoRA's steps and memory beside diffusers' script and a plain peft loop: out/bench-train
	$(BIN)/python -m tests.bench.training

.PHONY: bench-evaluate
bench-evaluate: setup  ## Previews beside a plain diffusers loop, and RecScore of a thousand of them: out/bench-evaluate
	$(BIN)/python -m tests.bench.evaluate

.PHONY: bench-web
bench-web: setup  ## Cleaning, crops and tags of a crawl beside a peer, with ratios: out/bench-web
	$(BIN)/python -m tests.bench.web
