//! What is always true of the fold is tried where it has something to say of measured series, too.
use crate::world::{engine, events, fold, hasty, known, pack};
use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use quell_core::{domain::policy::Clock, output::Body};
use std::collections::BTreeMap;

#[test]
fn some_histories_come_to_series_that_are_known() {
    let (mut runner, strategy) = (TestRunner::deterministic(), known(60, 0));
    let mut opened: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..20 {
        let drafts = strategy.new_tree(&mut runner).expect("drafts").current();
        let run = fold(&mut engine(&hasty(Clock::Events)), 0, &[pack(0, 0, i64::MAX, events(&drafts))]);
        for (_, body) in run.said {
            let Body::Alert(update) = body else { continue };
            if &*update.alert.origin == "quell" && update.alert.open {
                let (check, what) = update.alert.check.rsplit_once(' ').expect("what of a check");
                *opened.entry(what.to_owned()).or_default() += 1;
                if update.alert.summary.contains("median deviations") {
                    *opened.entry(format!("{check} learned")).or_default() += 1;
                }
                if update.alert.summary.contains(" a second, usual ") {
                    *opened.entry(format!("{check} counted")).or_default() += 1;
                }
            }
        }
    }
    for what in ["unusual", "threshold", "silent", "apart", "errors learned", "errors counted"] {
        assert!(opened.get(what).is_some_and(|count| *count >= 5), "{what}: {opened:?}");
    }
}
