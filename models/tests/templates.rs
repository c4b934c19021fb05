//! The miner as its users see it: what is one template, and what stays true of any input.
use proptest::{collection::vec, prelude::*};
use quell_models::templates::{Miner, Parts, Settings};

fn mined<'a>(lines: impl IntoIterator<Item = &'a str>) -> Miner {
    let mut miner = Miner::new(Settings::default());
    for line in lines {
        miner.learn(line);
    }
    miner
}

fn texts(miner: &Miner) -> Vec<String> {
    miner.templates().into_iter().map(|template| template.text).collect()
}

#[test]
fn what_varies_by_how_it_is_written_is_one_template() {
    for (one, other, text) in [
        ("worker 3 took 15 ms", "worker 77 took 2 s", "worker <*> took <*> ms"),
        ("from /10.0.0.1:80 to 10.0.0.2:8080", "from /10.9.9.9:1 to 10.8.8.8:2", "from <*> to <*>"),
        ("GET https://a.example/b?c=d, done", "GET http://b/, done", "GET <*>, done"),
        ("wrote C:\\Temp\\x.log", "wrote ~/y", "wrote <*>"),
        ("peer fe80::abcd up", "peer aa:bb:cc:dd:ee:ff up", "peer <*> up"),
        ("at Fri Jun 17 07:07:00 2005 end", "at Sat, Jul 3 01:00:00 UTC 2004 end", "at <*> end"),
        ("on 17 June 2005 end", "on 3 May 2006 end", "on <*> end"),
        ("sent by a@b.example.", "sent by ann.lee@b.", "sent by <*>."),
        ("key size=12, mode=fast", "key size=, mode=\"very slow\"", "key size=<*>, mode=<*>"),
        ("call() of [x1]", "call(3, 4) of []", "call(<*>) of [<*>]"),
        ("no key 'abc' in map", "no key 'x y1' in map", "no key '<*>' in map"),
        ("found ['a1', 'b'] there", "found ['c'] there", "found [<*>] there"),
        ("value None of x", "value 5 of x", "value <*> of x"),
        ("class org.example.Main ended", "class java.util.List ended", "class <*> ended"),
        ("cfg = Point { 1, 2 } set", "cfg = None set", "cfg = <*> set"),
    ] {
        let mut miner = Miner::new(Settings::default());
        let first = miner.learn(one);
        if one.contains("'abc'") {
            // A longer quote may be a sentence.
            assert_ne!(first, miner.learn(other), "{other}");
        } else {
            assert_eq!(first, miner.learn(other), "{one} | {other}");
        }
        assert_eq!(miner.template(first.template).map(|t| t.text).as_deref(), Some(text));
    }
}

#[test]
fn a_value_that_is_absent_shows_as_soon_as_it_is_there() {
    let mut miner = mined(["reload() of key= done=1"]);
    assert_eq!(texts(&miner), ["reload() of key= done=<*>"]);
    miner.learn("reload(3) of key= done=1");
    assert_eq!(texts(&miner), ["reload(<*>) of key= done=<*>"]);
}

#[test]
fn words_beside_numbers_at_the_same_place_vary() {
    let lines = ["job of team 12 was queued for the night", "job of team red was queued for the night"];
    let mut miner = mined(lines);
    assert_eq!(texts(&miner), ["job of team <*> was queued for the night"]);
    miner.learn("job of team blue was queued for the night");
    assert_eq!(miner.len(), 1);
}

/// A template without what stood around its words takes in the lines that it is of: no skeleton stays behind.
#[test]
fn names_beside_brackets_units_and_days_are_one_template() {
    let names =
        ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory", "oscar"];
    let around: [fn(&str) -> String; 4] = [
        |name| format!("Session of [{name}] was closed normally again"),
        |name| format!("Waited for {name} seconds before the retry began"),
        |name| format!("Cleanup on Monday {name} has finished without errors"),
        |name| format!("Invoice approved by manager {}nna Adler without any remarks", &name[..1].to_uppercase()),
    ];
    for line in around {
        let lines: Vec<String> = names.iter().cycle().take(240).map(|name| line(name)).collect();
        let mut miner = mined(lines.iter().map(String::as_str));
        assert_eq!(miner.len(), 1, "{:?}", texts(&miner));
        for line in &lines {
            let seen = miner.learn(line);
            assert_eq!(miner.resolve(seen.skeleton), Some(seen.template), "{line}");
        }
    }
}

/// Heads of different statements, and what is behind them.
fn with_errors(heads: &[&str], errors: &[&str]) -> Vec<String> {
    heads.iter().flat_map(|head| errors.iter().map(move |error| format!("{head}: {error}"))).collect()
}

#[test]
fn what_errors_say_behind_a_colon_varies() {
    let errors = ["Connection refused", "No such file or directory", "Permission denied", "Broken pipe"];
    let heads = ["could not open the index", "failed to renew lease 7 of the leader", "probe gave up after 3 tries"];
    let mut miner = mined(with_errors(&heads, &errors).iter().map(String::as_str));
    let mut found = texts(&miner);
    found.sort_unstable();
    let wanted =
        ["could not open the index", "failed to renew lease <*> of the leader", "probe gave up after <*> tries"];
    assert_eq!(found, wanted.map(|head| format!("{head}: <*>")));
    // One that is new needs no entry, a sentence of its own is another template, and ids stay valid.
    let first = miner.skeleton("could not open the index: Broken pipe");
    let template = miner.resolve(first);
    assert_eq!(Some(miner.learn("could not open the index: Is a directory").template), template);
    assert_eq!(Some(miner.learn("could not open the index: 17").template), template);
    assert_ne!(
        Some(miner.learn("could not open the index: 3 of 4 replicas (primary=db) are behind").template),
        template
    );
    let kept = serde_json::to_string(&miner).expect("a miner");
    let mut again: Miner = serde_json::from_str(&kept).expect("a miner");
    assert_eq!(Some(again.learn("could not open the index: Is a directory").template), template);
}

#[test]
fn statements_of_a_component_are_no_phrases() {
    // A name and its statements, the same of all that have one.
    let heads = ["volume manager alpha", "volume manager beta", "volume manager gamma"];
    let statements = ["has been mounted", "is full now", "was taken offline", "needs a repair"];
    let lines = with_errors(&heads[..2], &statements);
    assert_eq!(mined(lines.iter().map(String::as_str)).len(), 8);
    // One word names a component.
    let lines = with_errors(&["kernel", "nightly backup of the ledger"], &statements);
    assert!(texts(&mined(lines.iter().map(String::as_str))).contains(&"kernel: is full now".to_owned()));
    // What nobody else says.
    let lines = with_errors(&["state of the door is"], &statements);
    assert_eq!(mined(lines.iter().map(String::as_str)).len(), 4);
}

#[test]
fn states_are_told_apart_longer_than_names() {
    for words in [
        ["OPENED", "LOCKED", "MOVED", "PAUSED", "ENDED", "LOST"],
        ["opened", "locked", "moved", "paused", "ended", "halted"],
    ] {
        let lines = words.map(|word| format!("the door {word} now"));
        assert_eq!(mined(lines.iter().map(String::as_str)).len(), 6);
    }
    let lines = ["ann", "bob", "cyd", "dan"].map(|word| format!("the door {word} now"));
    assert_eq!(mined(lines.iter().map(String::as_str)).len(), 1);
}

#[test]
fn what_is_written_as_a_word_is_a_constant() {
    for (one, other) in [
        ("service started", "service stopped"),
        ("read/write error", "read/only error"),
        ("enabled=true", "enabled=false"),
        ("intent a.b.SCREEN_ON", "intent a.b.SCREEN_OFF"),
        ("link up", "link down"),
    ] {
        assert_eq!(mined([one, other]).len(), 2, "{one} | {other}");
    }
}

#[test]
fn a_slot_that_held_enough_words_varies() {
    let names = ["ann", "bob", "cyd"];
    let lines = names.map(|name| format!("accepted login from {name} today"));
    let mut miner = mined(lines.iter().map(String::as_str));
    assert_eq!(texts(&miner), ["accepted login from <*> today"]);
    assert_eq!(miner.templates()[0].example, lines[0]);
    // Further words make no entry, and ids that were given out stay valid.
    let before = miner.templates()[0].id;
    assert_eq!(miner.learn("accepted login from dora today").template, before);
    assert_eq!(miner.len(), 1);
    let first = miner.skeleton(&lines[0]);
    assert_eq!(miner.resolve(first), Some(before));
    assert_ne!(first, before);
    assert_eq!(miner.templates()[0].count, 4);
    assert_eq!(miner.templates()[0].merged.len(), 4);
    let dora = miner.skeleton("accepted login from dora today");
    assert_eq!(miner.resolve(dora), Some(before));
}

#[test]
fn few_different_words_are_different_templates() {
    let states = ["Started", "Paused", "Resumed", "Stopped"];
    let lines = states.map(|state| format!("the machine was {state} again"));
    assert_eq!(mined(lines.iter().map(String::as_str)).len(), 4);
}

#[test]
fn names_that_are_known_are_evidence() {
    let lines = ["volume alpha is full", "volume beta is full"];
    assert_eq!(mined(lines).len(), 2);
    let mut miner = Miner::new(Settings::default());
    let ids = lines.map(|line| miner.learn_with(line, &|word| word == "alpha" || word == "beta"));
    assert_eq!(texts(&miner), ["volume <*> is full"]);
    // The id of a skeleton does not know of them.
    assert_eq!(ids.map(|seen| seen.skeleton), lines.map(|line| Miner::new(Settings::default()).skeleton(line)));
}

#[test]
fn several_words_vary_at_once() {
    let word =
        |n: usize| ["ash", "bay", "cob", "dew", "elm", "fir", "gum", "hop", "ivy", "jay", "kiwi", "lime"][n % 12];
    let lines: Vec<String> = (0..12)
        .map(|n| format!("scheduler moved task {} toward pool {} because quota ended", word(n), word(n * 5 + 1)))
        .collect();
    let miner = mined(lines.iter().map(String::as_str));
    assert_eq!(texts(&miner), ["scheduler moved task <*> toward pool <*> because quota ended"]);
    let alone = Settings { parts: Parts { together: false, ..Parts::default() }, ..Settings::default() };
    let mut miner = Miner::new(alone);
    lines.iter().for_each(|line| {
        miner.learn(line);
    });
    assert_eq!(miner.len(), 12);
}

#[test]
fn who_was_unseen_for_longest_goes() {
    let settings = Settings { templates_max: 16, ..Settings::default() };
    let mut miner = Miner::new(settings);
    let words: Vec<String> = (0..26_u8).map(|n| String::from_utf8(vec![b'a' + n; 3]).unwrap()).collect();
    let first = miner.learn("kept words here");
    for word in &words {
        miner.learn(&format!("{word} {word} {word}"));
        miner.learn("kept words here");
        assert!(miner.len() <= 16);
    }
    assert_eq!(miner.resolve(first.template), Some(first.template));
    let gone = miner.skeleton("aaa aaa aaa");
    assert_eq!(miner.resolve(gone), None);
    assert_eq!(miner.learn("aaa aaa aaa").template, gone);
}

#[test]
fn an_id_is_the_same_for_ever() {
    let mut miner = Miner::new(Settings::default());
    assert_eq!(format!("{:016x}", miner.learn("disk sda1 is 93 % full").template), "6840182d3252d6c0");
}

#[test]
fn a_long_line_is_read_as_far_as_the_limit() {
    let settings = Settings { line_max: 20, tokens_max: 3, ..Settings::default() };
    let mut miner = Miner::new(settings);
    assert_eq!(miner.learn("aaaa bbbb cccc dddd"), miner.learn("aaaa bbbb cccc eeee"));
    let long = "ü".repeat(100_000);
    let seen = miner.learn(&long);
    assert!(miner.template(seen.template).unwrap().example.len() <= 20);
    let boundless = Settings { line_max: usize::MAX, tokens_max: usize::MAX, ..settings };
    let mut miner = Miner::new(boundless);
    let seen = miner.learn(&long);
    assert!(miner.template(seen.template).unwrap().example.len() <= usize::from(u16::MAX));
}

/// Lines with few words, so that slots and several at once come about, and with all that lexers stumble over.
fn line() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec!["for", "from", "user", "job", "ran", "on", "host", "and", "then", "ended"])
            .prop_map(str::to_owned),
        4 => "[a-h]{1,3}",
        1 => "[a-f0-9:.=/\\\\()\\[\\]{}'\"`<>,@#&|~$+*!?-]{1,8}",
        1 => "\\PC{0,4}",
    ];
    vec(piece, 0..9).prop_map(|pieces| pieces.join(" "))
}

#[test]
fn at_the_beginning_only_names_that_the_caller_knows_vary_early() {
    let mut miner = Miner::new(Settings::default());
    let mut of = |line: &str| {
        let seen = miner.learn_with(line, &|word| word.starts_with("shop"));
        (seen.skeleton, miner.resolve(seen.template))
    };
    let first = of("shop sees errors from upstream").0;
    let survivor = of("shopping sees errors from upstream").1;
    assert_eq!(of("shop sees errors from upstream"), (first, survivor), "ids stay, and lead to the survivor");
    assert_ne!(of("Nobody was told of it at all").1, of("Somebody was told of it at all").1);
}

proptest! {
    #[test]
    fn any_line_is_of_a_template(lines in vec(any::<String>(), 1..20), max in 0_usize..40) {
        let settings = Settings { line_max: max, tokens_max: max, templates_max: max, ..Settings::default() };
        let mut miner = Miner::new(settings);
        for line in &lines {
            let seen = miner.learn(line);
            prop_assert_eq!(miner.resolve(seen.template), Some(seen.template));
            prop_assert_eq!(seen.skeleton, miner.skeleton(line));
            prop_assert!(miner.len() <= max.max(1));
        }
    }

    #[test]
    fn counts_and_ids_are_kept(lines in vec(line(), 1..150), names in any::<bool>()) {
        let mut miner = Miner::new(Settings::default());
        let seen: Vec<_> = lines.iter().map(|line| miner.learn_with(line, &|_| names)).collect();
        prop_assert_eq!(miner.templates().iter().map(|t| t.count).sum::<u64>(), lines.len() as u64);
        for (seen, line) in seen.iter().zip(&lines) {
            // What was one template stays one.
            let now = miner.resolve(seen.template);
            prop_assert!(now.is_some());
            // A line that is seen again is of the same, and changes nothing but a count.
            let many = miner.len();
            prop_assert_eq!(Some(miner.learn_with(line, &|_| names).template), now);
            prop_assert_eq!(miner.len(), many);
        }
    }

    #[test]
    fn a_restart_changes_nothing(lines in vec(line(), 1..200), cut in 0_usize..200, max in 4_usize..60) {
        let settings = Settings { templates_max: max, merged_max: max / 2, names_max: max, words_max: max, ..Settings::default() };
        let (before, after) = lines.split_at(cut.min(lines.len()));
        let mut whole = Miner::new(settings);
        before.iter().for_each(|line| { whole.learn(line); });
        let kept = serde_json::to_string(&whole).unwrap();
        let mut restored: Miner = serde_json::from_str(&kept).unwrap();
        prop_assert_eq!(serde_json::to_string(&restored).unwrap(), kept);
        for line in after {
            prop_assert_eq!(whole.learn(line), restored.learn(line));
        }
        prop_assert_eq!(serde_json::to_string(&whole).unwrap(), serde_json::to_string(&restored).unwrap());
    }
}
