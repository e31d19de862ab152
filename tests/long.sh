#!/bin/sh
# Plays many random histories against the model: ./tests/long.sh [histories] [first seed]
set -eu
cd "$(dirname "$0")/.."
export MODEL_HISTORIES="${1:-10000}" MODEL_SEED="${2:-$(date +%s)}" MODEL_WORKERS="${MODEL_WORKERS:-4}"
exec cargo test -p cache-tests --test model -- --nocapture
