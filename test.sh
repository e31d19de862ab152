#!/usr/bin/env bash
# Installs the servers that the tests need, then checks everything: format, lints, tests, docs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly MAX_PACKAGES=60

main() {
    if (($# > 0)); then
        fail "test.sh takes no arguments; to run some tests only: cargo test -p <package> <name>"
    fi
    step "Servers"
    need redis-server redis-server
    step "Format"
    cargo fmt --all --check
    step "Lints"
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    step "Dependencies of cache-core"
    count_packages
    step "Tests and doctests"
    cargo test --workspace --all-features
    check_features
    step "Documentation"
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps
    step "Everything passed"
}

step() {
    printf '\n== %s ==\n' "$*"
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# need PROGRAM PACKAGE: makes sure that PROGRAM is there, from Debian's PACKAGE if it must be.
need() {
    local program=$1 package=$2
    if ! command -v "$program" >/dev/null; then
        install_package "$package"
    fi
    "$program" --version || fail "$program does not run"
}

install_package() {
    local package=$1
    command -v apt-get >/dev/null ||
        fail "the tests start servers of their own; install the one that the package $package of Debian contains"
    may_install || fail "the tests start servers of their own; as root, run: apt-get install $package"
    as_root apt-get update
    # The tests start servers on ports of their own: Debian's service must not run because of us,
    # neither now nor after the next boot.
    without_services as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends "$package"
    as_root update-rc.d "$package" disable
}

may_install() {
    ((EUID == 0)) || sudo --non-interactive true 2>/dev/null
}

as_root() {
    if ((EUID == 0)); then "$@"; else sudo --non-interactive "$@"; fi
}

# Debian asks this file before it starts a service; 101 means no.
without_services() (
    policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        trap 'as_root rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod +x "$policy"
    fi
    "$@"
)

# cache-core as its users build it: with nothing, by default, and with each feature alone.
check_features() {
    check_alone "no features"
    check_alone "default features" --features default
    local feature
    for feature in $(features); do
        check_alone "$feature alone" --features "$feature"
    done
}

# check_alone WHAT FLAGS...: lints the library, and runs its own tests and the contract in memory.
check_alone() {
    step "cache-core, $1"
    cargo clippy -p cache-core --lib --no-default-features "${@:2}" -- -D warnings
    cargo test -p cache-core --lib --test memory --no-default-features "${@:2}" --quiet
}

# The names in the [features] table of cache-core, without `default`.
features() {
    sed -n '/^\[features\]/,/^\[/s/^\([a-z0-9-]*\) = .*/\1/p' cache-core/Cargo.toml | grep -vx default
}

count_packages() {
    local count
    count=$(cargo tree -p cache-core -e normal --prefix none --no-dedupe |
        sed 's/ (proc-macro)//;s/ (\*)//' | sort -u | wc -l)
    echo "$count packages by default; at most $MAX_PACKAGES are allowed"
    ((count <= MAX_PACKAGES)) || fail "cache-core pulls in too much by default"
}

main "$@"
