# Every command of the project; `just` lists them.
default:
    @just --list

# Format, lints, tests: what has to pass before a commit.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test --workspace

# All tests. With a real Kafka where tests/kafka can start one.
test:
    cargo test --workspace

# What CI runs, on a clean clone.
ci:
    bash .ci/run

# Accept the conclusions of the stories as they are now.
bless:
    BLESS=1 cargo test -p quell-tests --test scenarios

# The recorded outage, live in the terminal.
demo *args:
    cargo run --release -- demo {{args}}

# The service.
run *args:
    cargo run --release -- run {{args}}

# A real Apache Kafka on loopback, without Docker.
kafka *args:
    tests/kafka/start.sh {{args}}

# The long proof: many seeds over the hostile log, many kills of the real process over Kafka and both journals.
kill-test seeds="2000" kills="200":
    cargo build --release -p quell
    QUELL_SEEDS={{seeds}} cargo test --release -p quell-tests --test hostile -- --nocapture
    QUELL_KAFKA=$(tests/kafka/start.sh) QUELL_REQUIRE_KAFKA=1 QUELL_BIN=$PWD/target/release/quell QUELL_KILLS={{kills}} cargo test -p quell-tests --test kill -- --nocapture

# Benchmarks; figures go to benches/RESULTS.md.
bench:
    cargo bench -p quell-benches

# All that is measured of quality, over the public sets below DIR (each recipe below says which).
quality dir: (grouping dir) (causes dir) (anomaly dir) (forecast dir) (templates dir) (similarity dir) (causality dir)

# How well events are grouped, over recordings whose truth is known (benches/quality/sources.rs). BESIDE: a program to run for each, too.
grouping dir beside="":
    QUELL_QUALITY={{absolute_path(dir)}} {{ if beside == "" { "" } else { "QUELL_BESIDE='" + beside + "'" } }} cargo bench -p quell-benches --bench quality

# Likewise where all checks are called alike, so that only texts say what is wrong.
texts dir kind="workload":
    QUELL_QUALITY={{absolute_path(dir)}} QUELL_KINDS={{kind}} QUELL_VARIANTS=whole,none QUELL_TEXTS=1 cargo bench -p quell-benches --bench quality

# What each reason of the model is worth (clues), or how much hangs on each of its numbers (numbers), over recordings of one kind.
keys dir of="clues" kind="workload":
    QUELL_QUALITY={{absolute_path(dir)}} QUELL_KINDS={{kind}} QUELL_KEYS={{of}} cargo bench -p quell-benches --bench quality

# How well anomalies in measured series are found: NAB, SMD and ASD below DIR, and made-up ones.
anomaly dir beside="":
    QUELL_ANOMALY={{absolute_path(dir)}} {{ if beside == "" { "" } else { "QUELL_BESIDE='" + beside + "'" } }} cargo bench -p quell-benches --bench anomaly

# How well series are forecast, half an hour ahead and up to a limit: NAB, SMD, ASD, PetShop and Nezha below DIR, and made-up ones.
forecast dir:
    QUELL_FORECAST={{absolute_path(dir)}} cargo bench -p quell-benches --bench forecast

# river's and scikit-learn's detectors over the made-up cases of `just anomaly`.
peers-anomaly:
    QUELL_CASES={{justfile_directory()}}/target/cases cargo bench -p quell-benches --bench anomaly
    python3 benches/peers/anomaly.py {{justfile_directory()}}/target/cases

# How well causes are ranked, over the public sets whose root causes are known (benches/causes/main.rs says which).
causes dir:
    QUELL_CAUSES={{absolute_path(dir)}} cargo bench -p quell-benches --bench causes

# How well and how fast templates are mined, over lines whose templates are known (benches/templates/main.rs says which).
templates dir:
    QUELL_TEMPLATES={{absolute_path(dir)}} cargo bench -p quell-benches --bench templates

# What finding what is alike costs, and how much of it is found (benches/similarity.rs).
similarity dir:
    QUELL_TEMPLATES={{absolute_path(dir)}} cargo bench -p quell-benches --bench similarity

# Lines of other people's log statements, for `just templates`: downloads packages by name, writes DIR/harvested.
harvest dir:
    python3 benches/templates/harvest.py {{absolute_path(dir)}}/harvested

# Drain3 over the same lines, beside Quell.
peers-templates dir:
    python3 benches/peers/templates.py {{absolute_path(dir)}}

# How well causes between kinds of alerts are learned, over networks whose causes experts drew up, and what it costs.
causality dir:
    QUELL_CAUSALITY={{absolute_path(dir)}} cargo bench -p quell-benches --bench causality

# Licences and advisories of the dependencies.
deny:
    cargo deny check

doc:
    cargo doc --workspace --no-deps --open
