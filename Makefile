# make demo   a synthetic CT of a real head, and a picture of it, in demo/     (MR=path/to/t1.nii.gz for your own)
# make test   everything that continuous integration checks
# make lint   style and types only;  make bench  time and memory on this machine
# make train  a small model, scored;  make train-full  the bundled model anew (hours; DEVICE=cuda WORKERS=4 on a GPU)
# make screenshots   the pictures of the panel in README
# Each sets up .venv by itself; PYTHON=... names another Python 3.11.

PYTHON ?= python3.11
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
# The folder of the T1 heads and CT heads that training reads (training/README.md tells where they come from).
DATA ?= ../shared/data
RUNS ?= runs
# Where train-full trains, and how many processes make its batches ahead.
DEVICE ?= cpu
WORKERS ?= 0

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Qt draws into memory: no display is needed, and none is opened.
export QT_QPA_PLATFORM ?= offscreen
# System libraries that Qt needs and this machine may lack: Testing/tools/qt_libraries.py puts them there.
QT_LIBRARIES := $(CURDIR)/$(VENV)/qt-libraries
export LD_LIBRARY_PATH := $(QT_LIBRARIES)$(if $(LD_LIBRARY_PATH),:$(LD_LIBRARY_PATH))

.PHONY: demo test lint bench screenshots train train-full clean
.DELETE_ON_ERROR:

demo: $(READY)
	$(PY) -m demo $(if $(MR),--mr "$(MR)") --output demo

test: lint
	$(PY) -m pytest

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) Testing/tools/check_texts.py

bench: $(READY)
	@$(PY) Testing/tools/bench.py

screenshots: $(READY)
	$(PY) Testing/tools/screenshots.py Resources

train: $(READY)
	$(PY) -m training simulate --data "$(DATA)" --bank "$(RUNS)/small-bank" --pairs 1
	$(PY) -m training fit --bank "$(RUNS)/small-bank" --run "$(RUNS)/small" --pairs 1 --steps 300 --patch 96 --average 0.98 --hold-out ernie
	$(PY) -m training export --run "$(RUNS)/small" --model "$(RUNS)/small/model" --version 0
	$(PY) -m training evaluate --model "$(RUNS)/small/model" --data "$(DATA)" --heads ernie --json "$(RUNS)/small/scores.json"

FIT = $(PY) -m training fit --bank "$(RUNS)/bank" --device $(DEVICE) --workers $(WORKERS)
EXPORT = $(PY) -m training export
# A part of the bundled model that another one goes on from: its name, and what fit is given.
define PART
$(FIT) --run "$(RUNS)/$(1)" $(2)
$(EXPORT) --run "$(RUNS)/$(1)" --model "$(RUNS)/$(1)/model" --version 0
endef
# Eight parts by the squared error, on the first 12 pairs of each kind; the ninth as fit does by itself.
SQUARED := --pairs 12 --loss l2

train-full: $(READY)
	$(PY) -m training simulate --data "$(DATA)" --bank "$(RUNS)/bank"
	$(call PART,first,--steps 5500 $(SQUARED) --bone-weight 0)
	$(call PART,second,--init "$(RUNS)/first/model" --steps 6500 --learning-rate 0.0015 --seed 2 $(SQUARED) --bone-weight 0)
	$(call PART,third,--init "$(RUNS)/second/model" --steps 6500 --learning-rate 0.001 --seed 3 $(SQUARED) --bone-weight 0)
	$(call PART,fourth,--init "$(RUNS)/third/model" --steps 4000 --learning-rate 0.001 --seed 4 $(SQUARED) --bone-weight 0)
	$(call PART,fifth,--init "$(RUNS)/fourth/model" --steps 1000 --learning-rate 0.0007 --seed 5 $(SQUARED) --bone-weight 0)
	$(call PART,sixth,--init "$(RUNS)/fifth/model" --steps 1500 --learning-rate 0.0015 --seed 6 $(SQUARED) --bone-weight 0)
	$(call PART,seventh,--init "$(RUNS)/sixth/model" --steps 4400 --learning-rate 0.0015 --seed 7 $(SQUARED) --bone-weight 0)
	$(call PART,eighth,--init "$(RUNS)/seventh/model" --steps 3100 --learning-rate 0.0015 --seed 8 $(SQUARED))
	$(FIT) --run "$(RUNS)/ninth" --init "$(RUNS)/eighth/model" --steps 5000 --learning-rate 0.001 --seed 9
	$(EXPORT) --run "$(RUNS)/ninth" --model "$(RUNS)/model/decnn-head-t1" --version 0.9.0

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
