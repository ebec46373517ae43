# make demo   a synthetic CT of a real head, and a picture of it, in demo/     (MR=path/to/t1.nii.gz for your own)
# make test   everything that continuous integration checks
# make lint   style and types only;  make bench  time and memory on this machine;  make train  the bundled model anew
# Each sets up .venv by itself; PYTHON=... names another Python 3.11.

PYTHON ?= python3.11
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
# The folder of the T1 heads and CT heads that training reads (training/README.md tells where they come from).
DATA ?= ../shared/data
RUN ?= runs/decnn-head-t1

export PYTHONPATH := $(CURDIR)/MRtoCT:$(CURDIR)/Testing:$(CURDIR)/Testing/Python:$(CURDIR)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Qt draws into memory: no display is needed, and none is opened.
export QT_QPA_PLATFORM ?= offscreen
# System libraries that Qt needs and this machine may lack: Testing/qt_libraries.py puts them there.
QT_LIBRARIES := $(CURDIR)/$(VENV)/qt-libraries
export LD_LIBRARY_PATH := $(QT_LIBRARIES)$(if $(LD_LIBRARY_PATH),:$(LD_LIBRARY_PATH))

.PHONY: demo test lint bench train clean
.DELETE_ON_ERROR:

demo: $(READY)
	$(PY) -m demo $(if $(MR),--mr "$(MR)") --output demo

test: lint
	$(PY) -m pytest

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m mypy

bench: $(READY)
	@$(PY) Testing/bench.py

train: $(READY)
	$(PY) -m training fit --data "$(DATA)" --run "$(RUN)" --workers 2

$(READY): requirements-dev.txt Testing/qt_libraries.py Testing/dicom_judge.py
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found: install Python 3.11, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment: install its venv package (Debian: python3.11-venv)" >&2; exit 1; }
	@echo "Installing what requirements-dev.txt names into $(VENV) (a few minutes, once)"
	@$(PY) -m pip install --quiet --requirement requirements-dev.txt || { echo "pip could not install requirements-dev.txt: its last lines above say why (no network?); run make again once that is mended" >&2; exit 1; }
	@$(PY) Testing/qt_libraries.py $(QT_LIBRARIES)
	@$(PY) Testing/dicom_judge.py $(VENV)/bin
	@touch $@

clean:
	rm -rf $(VENV) .cache demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
