#!/usr/bin/env bash
# Fuzzes everything that parses bytes from outside, each target for SECONDS (default 300).
# Needs a nightly compiler and cargo-fuzz: rustup toolchain install nightly; cargo install cargo-fuzz
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly SECONDS_EACH=${1:-300}

fuzz() {
    local target=$1 seeds=$2
    mkdir -p "corpus/$target"
    cargo +nightly fuzz run --fuzz-dir . "$target" "corpus/$target" "$seeds" -- \
        -max_total_time="$SECONDS_EACH" -max_len=4096 -timeout=5 -rss_limit_mb=2048
}

fuzz envelope ../cache-core/golden
fuzz pattern seeds/pattern
fuzz configuration seeds/configuration
