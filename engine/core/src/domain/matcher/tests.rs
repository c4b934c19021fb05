use super::*;

fn view(labels: &[(Arc<str>, Arc<str>)], matches: &str) -> bool {
    let services = [Arc::from("checkout"), Arc::from("payments")];
    let view = AlertView {
        entity: "db-1",
        check: "latency",
        origin: "prometheus/eu",
        services: &services,
        severity: Severity::Major,
        summary: "slow",
        labels,
    };
    matches.parse::<Matchers>().expect(matches).matches(&view)
}

#[test]
fn alerts_are_matched_by_what_they_are_about() {
    let labels = [("entity".into(), "rack".into()), ("env".into(), "prod".into())];
    for (matchers, expected) in [
        ("entity=db-1", true),
        ("{entity=\"db-1\", check=\"latency\", severity=major, origin=~\"prometheus/.*\"}", true),
        ("entity=db-1,check=errors", false),
        ("labels.entity=rack", true),
        ("labels.env=prod,env=prod,", true),
        ("env!=prod", false),
        ("summary=slow", true),
        // A service is any of them, and none of them is another.
        ("service=payments", true),
        ("service!=payments", false),
        ("service!~\"a|b\"", true),
    ] {
        assert_eq!(view(&labels, matchers), expected, "{matchers}");
    }
}

#[test]
fn an_expression_matches_the_whole_value_alternatives_included() {
    for (matchers, expected) in [
        ("check=~lat", false),
        ("check=~lat.*", true),
        ("check=~\"err|latency\"", true),
        ("check=~\"lat|ency\"", false),
        ("check!~\"lat|ency\"", true),
        ("check=~\"(?i)LATENCY\"", true),
        (r#"entity=~"db-\d""#, true),
        (r#"entity=~"db-\\d""#, true),
        ("entity=~db-[0-9]{1", false),
    ] {
        if matchers.parse::<Matchers>().is_err() {
            assert!(!expected, "{matchers}");
            continue;
        }
        assert_eq!(view(&[], matchers), expected, "{matchers}");
    }
}

#[test]
fn an_absent_label_is_the_empty_value() {
    for (matchers, expected) in [
        ("env=\"\"", true),
        ("env=", true),
        ("env!=prod", true),
        ("env=~\".*\"", true),
        ("env=~\".+\"", false),
        ("env!~\".+\"", true),
        ("env!=\"\"", false),
    ] {
        assert_eq!(view(&[], matchers), expected, "{matchers}");
        let set: Matchers = matchers.parse().expect(matchers);
        assert_eq!(set.match_nothing_named(), expected, "{matchers}");
    }
    let both: Matchers = "env=~\".*\",check=latency".parse().expect("valid");
    assert!(!both.match_nothing_named());
}

#[test]
fn they_read_as_they_are_written() {
    for (text, canonical) in [
        ("a=b", "{a=\"b\"}"),
        (" { a = \"b\" , c=~\"d|e\" } ", "{a=\"b\",c=~\"d|e\"}"),
        ("{a=\"x\\\"y\\\\z\\n\"}", "{a=\"x\\\"y\\\\z\\n\"}"),
        ("\"my label\"!=\"ü\"", "{\"my label\"!=\"ü\"}"),
        ("labels.entity!~\"a\"", "{labels.entity!~\"a\"}"),
        ("labels.env=a b", "{env=\"a b\"}"),
        ("labels.labels.x=a", "{labels.labels.x=\"a\"}"),
    ] {
        let set: Matchers = text.parse().expect(text);
        assert_eq!(set.to_string(), canonical);
        assert_eq!(canonical.parse::<Matchers>().expect(canonical), set, "{text}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    for (text, reason) in [
        ("", "no matcher"),
        ("{}", "no matcher"),
        ("check", "expected =, !=, =~ or !~ at character 6"),
        ("=x", "expected a name"),
        ("a=\"b", "expected the quote to be closed"),
        ("a=b\"c\"", "quoted as a whole"),
        ("{a=b", "the closing `}`"),
        ("a=b}", "expected a `,` or the end at character 4"),
        ("a=\"b\" c=d", "expected a `,` or the end"),
        ("a=~\"(\"", "`(` is no regular expression: unclosed group"),
        // Between the brackets of the anchors it would be one.
        ("a=~\"a)|(b\"", "unopened group"),
        ("a=~\"(?x)b # c\"", "is no regular expression"),
        ("a=~\"(\\\\pL{100}){100}\"", "size limit"),
    ] {
        let error = text.parse::<Matchers>().expect_err(text).to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
    assert!("a=b,c=d".parse::<Matcher>().is_err());
    assert!(format!("a={}", "x".repeat(TEXT_MAX)).parse::<Matchers>().is_err());
}
