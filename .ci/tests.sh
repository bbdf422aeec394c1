#!/usr/bin/env bash
# The README's test line, word for word, in a fresh virtual environment.
set -euo pipefail

line="pip install '.[test]' && pytest"
grep -qxF -- "$line" README.md || { echo "README.md has no line: $line"; exit 1; }

rm -rf "$CI_WORK/venv"
python3 -m venv "$CI_WORK/venv"
PATH="$CI_WORK/venv/bin:$PATH" VIRTUAL_ENV="$CI_WORK/venv" bash -c "$line"
