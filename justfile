# One recipe per daily act; CI calls the same ones.

# List the recipes.
default:
    @just --list

# Everything a change must pass before review, except the system tests.
check: fmt lint unit doc deny typos unused

# Formatting, without changing anything.
fmt:
    cargo fmt --all --check

# Clippy with warnings denied.
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Unit tests and tests beside the crates.
unit:
    if command -v cargo-nextest >/dev/null; then cargo nextest run --workspace --locked --lib --bins; else cargo test --workspace --locked --lib --bins; fi

# Every test, system tests with a real Kafka included.
test *ARGS:
    tests/run {{ARGS}}

# API documentation, warnings denied.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# Licences, bans and sources of dependencies. Advisories need the advisory database: `cargo deny check advisories`.
deny:
    cargo deny --offline check licenses bans sources

# Dependencies that nobody names; a test of `tests/it/tidy.rs` looks too.
unused:
    if command -v cargo-machete >/dev/null; then cargo machete; fi

# Writes again what is generated from the code: JSON Schemas and the reference of the configuration.
generate:
    UPDATE_SCHEMAS=1 cargo test --workspace --locked generated

# Spelling.
typos:
    typos

# CPU, latency and memory against nginx, on this machine.
bench *ARGS:
    tests/bench {{ARGS}}

# Fuzzes the readers of outside bytes: `just fuzz --seconds 20 sse`.
fuzz *ARGS:
    tests/fuzz {{ARGS}}

# A long-running fault drill: `just drill crash --kills 20`.
drill NAME *ARGS:
    tests/drill {{NAME}} {{ARGS}}

# Clone to chargeback report: build, run, call, report.
quickstart *ARGS:
    deploy/quickstart {{ARGS}}
