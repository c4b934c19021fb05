//! Every story in `scenarios/` ends as it says. `BLESS=1` writes what was concluded into them.
use quell_tests::story;
use std::{
    fs,
    path::{Path, PathBuf},
};

#[test]
fn every_story_ends_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut paths: Vec<_> = fs::read_dir(folder).expect("the stories").map(|e| e.expect("a story").path()).collect();
    paths.sort();
    assert!(paths.len() > 10, "the stories are missing");
    let ends_otherwise = |path: &PathBuf| story::check(path).err().map(|e| format!("{}: {e:#}", path.display()));
    let wrong: Vec<_> = paths.iter().filter_map(ends_otherwise).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
