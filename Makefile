# Each target makes what it needs, so that every one works alone on a fresh clone.
PYTHON ?= python3
VENV ?= .venv
LIVE ?= .venv-live
RUNTIME ?= .venv-runtime
FUZZ ?= .venv-fuzz
SCANNERS ?= .venv-scanners
AZURITE := build/azurite
SAMPLE ?= sample_models/pruned.h5
# $(call install,ENVIRONMENT,WHAT): by uv, where UV names it, since it takes a tenth of the time that
# pip takes; else by pip, and also where uv cannot, since it knows nothing of how pip is set up.
install = $(if $(UV),$(UV) pip install --quiet --python $(1)/bin/python $(2) ||) \
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check $(2)
comma := ,
# Samples that belong together, A:B.
PAIRS ?= pruned.h5:stripped.h5 stripped.h5:saved_stripped stripped.h5:stripped.keras \
	clustered.h5:clustered_stripped.h5 lite_float.tflite:lite_int8.tflite ckpt_adam:ckpt_manager

.PHONY: docs inspect audit-samples diff-samples test test-fast test-live test-runtime lint test-azure test-limits-long test-live-long test-live-random test-live-random-diff fuzz fuzz-samples samples check-samples golden scorecard bench bench-full bench-fleet bench-fleet-full bench-guard clean screenshots
.DEFAULT_GOAL := inspect

inspect: $(VENV)/installed
	@$(VENV)/bin/inspect $(SAMPLE)

# Differences are what is to be seen here; a sample that cannot be read still fails.
diff-samples: $(VENV)/installed
	@for pair in $(PAIRS); do \
		$(VENV)/bin/inspect diff --exit-zero sample_models/$${pair%%:*} sample_models/$${pair##*:} \
			|| exit 1; echo; \
	done

# Findings are what is to be seen here: only what is no finding (bad usage, a bug) fails.
audit-samples: $(VENV)/installed
	@$(VENV)/bin/inspect audit sample_models --recursive --fail-on never

test: test-fast test-live

# Files in their order: those of many tests first, as is usual, would leave long ones for the end.
test-fast: $(VENV)/dev
	$(VENV)/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder \
		--ignore tests/live --ignore tests/limits_long tests

# What the worst file of each kind takes, just under the limits: a quarter of an hour, 1 GiB of disk.
test-limits-long: $(VENV)/dev
	$(VENV)/bin/python -m pytest -s tests/limits_long

test-live: $(LIVE)/dev
	$(LIVE)/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile tests/live

# The last tflite-runtime, which needs Python 3.11 or older and NumPy 1: an environment of its own.
test-runtime: $(LIVE)/dev $(RUNTIME)/installed
	INSPECT_TFLITE_RUNTIME=$(abspath $(RUNTIME))/bin/python \
		$(LIVE)/bin/python -m pytest tests/live/test_tflite_runtime_live.py

# What tests/remote asks of Azure's storage, which test-fast has too once this has installed it.
test-azure: $(VENV)/dev $(AZURITE)/installed
	INSPECT_NEED_AZURE=1 $(VENV)/bin/python -m pytest tests/remote -k az

# Many more random models than the short form that test-live has; give SEEDS as you have time.
SEEDS ?= 2000
test-live-long: $(LIVE)/dev
	INSPECT_LIVE_SEEDS=$(SEEDS) $(LIVE)/bin/python -m pytest tests/live/test_random_models.py \
		tests/live/test_random_tensorflow.py

# The same of pruned models, reconciled with their stripped and converted selves in every format.
test-live-random: $(LIVE)/dev
	INSPECT_LIVE_SEEDS=$(SEEDS) $(LIVE)/bin/python -m pytest tests/live/test_random_reconcile.py

# Random models saved twice with one known edit between: what the difference says of the two.
test-live-random-diff: $(LIVE)/dev
	INSPECT_LIVE_SEEDS=$(SEEDS) $(LIVE)/bin/python -m pytest tests/live/test_random_diff.py

# Inputs that lie, tried one after another: a target for each format, all of them in so many seconds.
# What is found is in build/fuzz/found. atheris has wheels for Python 3.11 to 3.13 on Linux.
FUZZ_SECONDS ?= 1200
fuzz: $(FUZZ)/installed
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(FUZZ)/bin/python -m tests.fuzz.run

# Every sample in 200 cuts, 500 changed bytes and 100 lies, of which test-fast has a share.
fuzz-samples: $(VENV)/dev
	$(VENV)/bin/python -m tests.fuzz.samples

lint: $(VENV)/dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

samples: $(LIVE)/dev
	$(LIVE)/bin/python scripts/make_samples.py

check-samples: $(LIVE)/dev
	$(LIVE)/bin/python scripts/make_samples.py --check

# Text, schema, README and docs as the code prints them today: look at the difference before committing it.
golden: $(VENV)/dev
	$(VENV)/bin/python -m pytest -q --update-golden --ignore tests/live --ignore tests/limits_long tests
	$(VENV)/bin/python scripts/make_audit_docs.py
	$(VENV)/bin/python scripts/make_readme.py
	$(VENV)/bin/python scripts/make_man.py
	$(VENV)/bin/python scripts/make_notebooks.py
	$(VENV)/bin/python scripts/make_reference.py

# The site of docs/, in build/site: open build/site/index.html. It needs no network.
docs: $(VENV)/dev
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict --quiet
	@echo build/site/index.html

# The pages of some samples as a browser shows them: docs/screenshots. Needs chromium.
screenshots: $(VENV)/dev
	$(VENV)/bin/python scripts/make_screenshots.py

# What two other scanners say of the same artifacts: docs/scorecard.md. INSPECT_CORPUS may name a
# folder of real models.
scorecard: $(VENV)/dev $(SCANNERS)/modelaudit/installed $(SCANNERS)/modelscan/installed
	$(VENV)/bin/python scripts/scorecard.py --scanners $(SCANNERS)

# Beside what people use instead: small inputs, and of the others those that are installed.
bench: $(VENV)/dev
	$(VENV)/bin/python scripts/bench.py --form short --live $(LIVE) --scanners $(SCANNERS)

# All of docs/performance.md: 30 GB of inputs in build/bench, and about an hour. HDF5's own tools and
# node are the system's (Debian: hdf5-tools, nodejs); a table says where one is not there.
bench-full: $(VENV)/dev $(LIVE)/dev $(SCANNERS)/modelscan/installed $(SCANNERS)/netron/installed
	$(VENV)/bin/python scripts/bench.py --form full --live $(LIVE) --scanners $(SCANNERS)

# What audits of many artifacts take, on this machine and from servers on loopback: some minutes.
bench-fleet: $(VENV)/dev
	$(VENV)/bin/python scripts/bench_fleet.py --form short

# The tables of docs/fleet.md: 1.5 GB in build/fleet, and a quarter of an hour.
bench-fleet-full: $(VENV)/dev
	$(VENV)/bin/python scripts/bench_fleet.py --form full

# The ratios that tests/test_bench.py holds ours against, as they are today.
bench-guard: $(VENV)/dev
	$(VENV)/bin/python scripts/benchmark/guard.py --update

clean:
	rm -rf $(VENV) $(LIVE) $(RUNTIME) $(SCANNERS) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The base install alone: what a user gets. The mark is touched last, so that an install cut short
# is done again.
$(VENV)/installed: pyproject.toml
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(call install,$(VENV),--editable .)
	@touch $@

$(VENV)/dev: pyproject.toml tests/constraints.txt $(VENV)/installed
	$(call install,$(VENV),--constraint tests/constraints.txt --editable '.[dev]')
	@touch $@

# TensorFlow stands apart: the tool must work, and be tested, without it.
$(LIVE)/dev: pyproject.toml tests/constraints-live.txt
	@test -x $(LIVE)/bin/python || $(PYTHON) -m venv $(LIVE)
	$(call install,$(LIVE),--constraint tests/constraints-live.txt --editable '.[live$(comma)test]')
	@touch $@

$(RUNTIME)/installed: tests/requirements-runtime.txt
	@test -x $(RUNTIME)/bin/python || $(PYTHON) -m venv $(RUNTIME)
	$(call install,$(RUNTIME),--requirement $<)
	@touch $@

# Microsoft's server of Azure Blob Storage for tests: a program of Node.js, so npm must be here.
$(AZURITE)/installed:
	npm install --silent --no-audit --no-fund --prefix $(@D) azurite@3.37.0
	@touch $@

# One environment for each: what they ask for does not go together.
$(SCANNERS)/%/installed: tests/requirements-%.txt
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(call install,$(@D),--requirement $<)
	@touch $@

$(FUZZ)/installed: pyproject.toml tests/requirements-fuzz.txt
	@test -x $(FUZZ)/bin/python || $(PYTHON) -m venv $(FUZZ)
	@$(call install,$(FUZZ),--requirement tests/requirements-fuzz.txt --editable .)
	@touch $@
