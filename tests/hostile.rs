//! Exactly once, over a log that does everything it may (design rules 2, 4, 5, 13 and 15).
//!
//! `QUELL_SEEDS=n` plays so many seeds, `QUELL_SEED=n` that one alone, with the engine's log on stderr where `RUST_LOG`
//! asks for it.
use quell::rules::Rules;
use quell_tests::sim::{self, Bite, Failure, Scenario};
use std::env;
use tracing_subscriber::EnvFilter;

fn scenario(seed: u64) -> Scenario {
    Scenario { seed, rules: Rules::default(), size: 2_500, anew: false }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|n| n.parse().expect("a number"))
}

/// How many seeds, unless `QUELL_SEEDS` says so.
fn seeds(default: u64) -> std::ops::Range<u64> {
    match number("QUELL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("QUELL_SEEDS").unwrap_or(default),
    }
}

fn play(test: &str, scenarios: impl Iterator<Item = Scenario>) -> Bite {
    let mut bite = Bite::default();
    // Another test may have set it.
    let _ = tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).with_test_writer().try_init();
    for scenario in scenarios {
        match sim::run(scenario) {
            Ok(one) => bite.merge(&one),
            Err(failure) => panic!(
                "seed {seed}: {failure}\nalone: QUELL_SEED={seed} cargo test -p quell-tests --test hostile {test}",
                seed = scenario.seed
            ),
        }
    }
    println!("{}", bite.table());
    bite
}

#[test]
fn readers_see_what_an_undisturbed_engine_says() {
    let bite = play("readers_see", seeds(20).map(scenario));
    if number("QUELL_SEED").is_none() {
        assert!(bite.zeros().is_empty(), "never happened: {:?}", bite.zeros());
    }
}

#[test]
fn a_topic_made_anew_is_read_from_its_start() {
    play("a_topic_made_anew", seeds(6).map(|seed| Scenario { anew: true, ..scenario(seed) }));
}

/// Plays seeds until the check fails.
fn is_caught(what: &str, rules: Rules) {
    let seeds = seeds(40);
    for seed in seeds.clone() {
        match sim::run(Scenario { rules, ..scenario(seed) }) {
            Ok(_) => {}
            Err(failure @ Failure::Differs(_)) => {
                println!("without {what}: seed {seed}, after {} seeds: {failure}", seed + 1);
                return;
            }
            Err(failure) => println!("without {what}: seed {seed}: {failure}"),
        }
    }
    panic!("without {what}, {} seeds showed nothing wrong", seeds.end);
}

#[test]
fn without_the_mark_check_it_fails() {
    is_caught("the mark check", Rules { marks: false, ..Rules::default() });
}

#[test]
fn without_request_ids_it_fails() {
    is_caught("request ids", Rules { requests: false, ..Rules::default() });
}

#[test]
fn with_commits_before_all_is_durable_it_fails() {
    is_caught("the commit after all is durable", Rules { commit_after_durable: false, ..Rules::default() });
}

#[test]
fn without_the_readers_skip_it_fails() {
    is_caught("the readers' skip", Rules { readers_skip: false, ..Rules::default() });
}

#[test]
fn with_snapshots_before_their_outputs_it_fails() {
    is_caught("the snapshot after its outputs", Rules { snapshot_after_outputs: false, ..Rules::default() });
}
