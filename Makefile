# make demo   a synthetic CT of a real head, and a picture of it, in demo/     (MR=path/to/t1.nii.gz for your own)
# make test   everything that continuous integration checks
# make attack   every hostile input of Testing/attack, and as long again random damage: a table of what became of them
# make lint   style and types only;  make bench  time and memory on this machine
# make train  a small model, scored;  make train-full, make train-open  the recipes of the bundled models, anew (hours;
#             DEVICE=cuda WORKERS=4 on a GPU)
# make screenshots   the pictures of the panel in README
# Each sets up .venv by itself; PYTHON=... names another Python 3.11.

PYTHON ?= python3.11
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
# The folder of the T1 heads and CT heads that training reads (training/README.md tells where they come from).
DATA ?= ../shared/data
RUNS ?= runs
# Seconds for all corpora of make attack, and as many for its fuzzer.
BUDGET ?= 900
# Real slices: MR and CT of one person.
SLICES ?= $(DATA)/real_slices
# Where train-full trains, and how many processes make its batches ahead.
DEVICE ?= cpu
WORKERS ?= 0

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Qt draws into memory: no display is needed, and none is opened.
export QT_QPA_PLATFORM ?= offscreen
# System libraries that Qt needs and this machine may lack: Testing/tools/qt_libraries.py puts them there.
QT_LIBRARIES := $(CURDIR)/$(VENV)/qt-libraries
export LD_LIBRARY_PATH := $(QT_LIBRARIES)$(if $(LD_LIBRARY_PATH),:$(LD_LIBRARY_PATH))

.PHONY: quality demo test lint attack bench screenshots train train-full train-open clean
.DELETE_ON_ERROR:

demo: $(READY)
	$(PY) -m demo $(if $(MR),--mr "$(MR)") --output demo

test: lint
	$(PY) -m pytest

attack: $(READY)
	$(PY) -W ignore -m attack --budget $(BUDGET)

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) Testing/tools/check_texts.py

# The peers' packages come without what they depend on, or pip would take another torch; a row that lacks one says so.
bench: $(READY)
	-$(PY) -m pip install --quiet --no-deps --constraint constraints.txt $$($(PY) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['bench'])")
	$(PY) -m bench --json docs/performance.json --page docs/performance.md

screenshots: $(READY)
	$(PY) Testing/tools/screenshots.py Resources

# docs/quality.md, the figures of README and the models' cards, from training/results.
RESULTS := training/results
define CARD
$(PY) -m training card --model MRtoCT/Resources/Models/$(1) --results $(wildcard $(RESULTS)/$(1)/folds.json) $(RESULTS)/$(1)/slices.json $(RESULTS)/$(1)/heads.json --limits $(RESULTS)/$(1)/limits.md
endef

quality: $(READY)
	$(PY) -m training quality --results $(RESULTS)/decnn-head-t1 --others $(RESULTS)/decnn-head-t1-open --page docs/quality.md --readme README.md
	$(call CARD,decnn-head-t1)
	$(call CARD,decnn-head-t1-open)

# A recipe (training/recipes), run from random weights: bank, network, model, and what it is worth on what it has not seen.
define TRAIN
$(PY) -m training simulate --recipe training/recipes/$(2).toml --data "$(DATA)" --bank "$(RUNS)/$(1)-bank"
$(PY) -m training find-misfits --slices "$(SLICES)" --json "$(RUNS)/$(1)-bank/misfits.json"
$(PY) -m training add-slices --bank "$(RUNS)/$(1)-bank" --slices "$(SLICES)" --misfits "$(RUNS)/$(1)-bank/misfits.json"
$(PY) -m training fit --recipe training/recipes/$(2).toml --bank "$(RUNS)/$(1)-bank" --run "$(RUNS)/$(1)" --fold 1 --device $(DEVICE) --workers $(WORKERS)
$(PY) -m training export --recipe training/recipes/$(2).toml --run "$(RUNS)/$(1)" --model "$(RUNS)/$(1)/$(2)" --version 0
$(PY) -m training evaluate-slices --model "$(RUNS)/$(1)/$(2)" --slices "$(SLICES)" --fold 1 --json "$(RUNS)/$(1)/slices.json"
$(PY) -m training evaluate --model "$(RUNS)/$(1)/$(2)" --data "$(DATA)" --heads $(3) --json "$(RUNS)/$(1)/heads.json"
endef

train: $(READY)
	$(call TRAIN,small-run,small,cptac_head)

train-full: $(READY)
	$(call TRAIN,full-run,decnn-head-t1,cptac_head nyhead)

# Heads whose terms allow any use, and no real slices: those are only scored on, and none of them was seen.
OPEN := decnn-head-t1-open
train-open: $(READY)
	$(PY) -m training simulate --recipe training/recipes/$(OPEN).toml --data "$(DATA)" --bank "$(RUNS)/open-bank"
	$(PY) -m training fit --recipe training/recipes/$(OPEN).toml --bank "$(RUNS)/open-bank" --run "$(RUNS)/open" --device $(DEVICE) --workers $(WORKERS)
	$(PY) -m training export --recipe training/recipes/$(OPEN).toml --run "$(RUNS)/open" --model "$(RUNS)/open/$(OPEN)" --version 0
	$(PY) -m training evaluate-slices --model "$(RUNS)/open/$(OPEN)" --slices "$(SLICES)" --json "$(RUNS)/open/slices.json"

$(READY): pyproject.toml constraints.txt Testing/tools/qt_libraries.py Testing/tools/dicom_judge.py
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found: install Python 3.11, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment: install its venv package (Debian: python3.11-venv)" >&2; exit 1; }
	@echo "Installing mrtoct[dev] of pyproject.toml into $(VENV) (a few minutes, once)"
	@$(PY) -m pip install --quiet --editable ".[dev]" --constraint constraints.txt || { echo "pip could not install mrtoct[dev]: its last lines above say why (no network?); run make again once that is mended" >&2; exit 1; }
	@$(PY) Testing/tools/qt_libraries.py $(QT_LIBRARIES)
	@$(PY) Testing/tools/dicom_judge.py $(VENV)/bin
	@touch $@

clean:
	rm -rf $(VENV) .cache demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
