//! Bad inputs, by the names that `connectors/BAD_INPUTS.md` gives them.
use quell_connectors::decode::{Format, Mapping};

/// What stands in an event's places, as JSON.
struct Places {
    id: String,
    time: String,
    status: String,
    severity: String,
    value: String,
    summary: String,
    labels: String,
    /// More members of the object.
    more: String,
}

/// A row of a table: its input's name, and the answer of each format.
pub struct Row<'t> {
    pub input: &'t str,
    pub answers: Vec<&'t str>,
}

/// The rows of the tables with so many columns of answers.
pub fn rows(document: &str, answers: usize) -> Vec<Row<'_>> {
    let row = |line| -> Option<Row<'_>> {
        let line: &str = line;
        let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
        let input = cells.next()?;
        let cells: Vec<_> = cells.collect();
        (cells.len() == answers && input != "input" && !matches!(input, "request" | "message" | "connection"))
            .then_some(Row { input, answers: cells })
    };
    document.lines().filter_map(row).collect()
}

/// How `format = "json"` is read here.
pub const JSON_SOURCE: &str = r#"{"fields": {"id": "id", "time": "ts", "entity": "host", "check": "service", "status": "state",
    "severity": "sev", "value": "val", "summary": "out", "kind": "kind"}, "labels": ["tags"]}"#;

/// The mapping of [`JSON_SOURCE`].
pub fn json_mapping() -> Mapping {
    serde_json::from_str(JSON_SOURCE).expect("a mapping")
}

/// The bytes of a row's input in a format. Alertmanager's groups have a good
/// alert behind the bad one.
///
/// # Panics
/// At a name that is not known.
pub fn input(format: Format, name: &str) -> Vec<u8> {
    let mut places = Places {
        id: r#""1""#.into(),
        time: r#""2026-01-05T00:00:00Z""#.into(),
        status: r#""firing""#.into(),
        severity: r#""major""#.into(),
        value: "1.5".into(),
        summary: r#""text""#.into(),
        labels: String::new(),
        more: String::new(),
    };
    let text = |text: &str| format!("\"{text}\"");
    match name {
        "not JSON" => return b"not json".to_vec(),
        "empty" => return b" ".to_vec(),
        "another JSON value" => return b"17".to_vec(),
        "cut off in the middle" => {
            let mut bytes = document(format, &places);
            bytes.truncate(bytes.len() - 20);
            return bytes;
        }
        "with a byte order mark" => return [b"\xef\xbb\xbf".to_vec(), document(format, &places)].concat(),
        "bad UTF-8" => {
            let bytes = document(format, &places);
            let at = bytes.windows(4).position(|four| four == b"text").expect("the summary");
            return [&bytes[..at], b"\xff\xfe", &bytes[at..]].concat();
        }
        "an unknown field 10,000 deep" => {
            places.more = format!(r#","deep":{}{}"#, "[".repeat(10_000), "]".repeat(10_000));
        }
        "a name twice" => {
            // One that the format reads.
            places.more = match format {
                Format::CloudEvents => r#","data":{}"#.into(),
                Format::Json => r#","host":"db-08""#.into(),
                _ => r#","labels":{}"#.into(),
            };
        }
        "an unknown field of 1e400" => places.more = r#","other":1e400"#.into(),
        "an event of 1 MB" => places.summary = text(&"x".repeat(1_000_000)),
        "NUL as it is" => places.summary = text("a\0b"),
        "NUL escaped" => places.summary = text(r"a\u0000b"),
        "lone surrogate" => places.summary = text(r"\ud800"),
        "right-to-left mark" => places.summary = text("\u{202e}abc"),
        "ANSI escape" => places.summary = text(r"\u001b[2J\u001b[31mred"),
        "C1 escape" => places.summary = text("\u{9b}2J"),
        "`<script>`" => places.summary = text("<script>alert(1)</script>"),
        "`javascript:`" => places.summary = text("javascript:alert(1)"),
        "`{{7*7}}`" => places.summary = text("{{7*7}}"),
        "`${jndi:…}`" => places.summary = text("${jndi:ldap://x}"),
        "`'; drop table`" => places.summary = text("'; drop table alerts"),
        "newline and a header" => places.summary = text(r"a\r\nBcc: everybody@example.com"),
        "formula of a spreadsheet" => places.summary = text("=cmd|'/c calc'!A1"),
        "a summary of 100 KB" => places.summary = text(&"x".repeat(100_000)),
        "a label of 100 KB" => places.labels = format!(r#""a":"{}""#, "x".repeat(100_000)),
        "10,000 labels" => {
            places.labels = (0..10_000).map(|n| format!(r#""k{n}":"v""#)).collect::<Vec<_>>().join(",");
        }
        "a label that is an object" => places.labels = r#""a":{"b":1}"#.into(),
        "a label without a name" => places.labels = r#""":"b""#.into(),
        "ANSI escape in an id" => places.id = text(r"\u001b[2J"),
        "path tricks in an id" => places.id = text("../../etc/passwd"),
        "an id of 10 KB" => places.id = text(&"x".repeat(10_000)),
        "empty id" => places.id = text(""),
        "a value as text" => places.value = text("0.97"),
        "value NaN" => places.value = "NaN".into(),
        "value Infinity" => places.value = "Infinity".into(),
        "value -Infinity" => places.value = "-Infinity".into(),
        "value NaN in a text" => places.value = text("NaN"),
        // What is an event's value stands beside its kind in every format that has one.
        "a sample without a value" => places.value = r#"null,"kind":"sample""#.into(),
        "value Infinity in a text" => places.value = text("Infinity"),
        "value 1e400" => places.value = "1e400".into(),
        "time in seconds" => places.time = "1767571200".into(),
        "time in milliseconds" => places.time = "1767571200000".into(),
        "time in microseconds" => places.time = "1767571200000000".into(),
        "time in nanoseconds" => places.time = "1767571200000000000".into(),
        "digits in a text" => places.time = text("1767571200000"),
        "time without a zone" => places.time = text("2026-01-05T00:00:00"),
        "time with an offset" => places.time = text("2026-01-05T05:45:00.123456789+05:45"),
        "no time" => places.time = "null".into(),
        "year 9999" => places.time = text("9999-01-05T00:00:00Z"),
        "year 1" => places.time = text("0001-01-01T00:00:00Z"),
        "severity unknown" => places.severity = text("P1"),
        "severity a number" => places.severity = "2".into(),
        "status unknown" => places.status = text("perhaps"),
        "resolved and never opened" => places.status = text("resolved"),
        other => panic!("no input is called `{other}`"),
    }
    document(format, &places)
}

fn document(format: Format, places: &Places) -> Vec<u8> {
    let Places { id, time, status, severity, value, summary, labels, more } = places;
    let and = if labels.is_empty() { "" } else { "," };
    match format {
        Format::Canonical => format!(
            r#"{{"id":{id},"time":{time},"entity":"db-07","check":"c","status":{status},"severity":{severity},"value":{value},"summary":{summary},"labels":{{{labels}}}{more}}}"#
        ),
        Format::Alertmanager => {
            let good = r#"{"status":"firing","labels":{"alertname":"neighbour"}}"#;
            format!(
                r#"{{"externalURL":"http://am.example","alerts":[{{"status":{status},"labels":{{"alertname":"c","instance":"db-07","severity":{severity}{and}{labels}}},"annotations":{{"summary":{summary}}},"startsAt":{time},"fingerprint":{id}{more}}},{good}]}}"#
            )
        }
        Format::CloudEvents => format!(
            r#"{{"specversion":"1.0","id":{id},"source":"/s","type":"c","subject":"db-07","time":{time},"data":{{"status":{status},"severity":{severity},"value":{value},"summary":{summary},"labels":{{{labels}}}}}{more}}}"#
        ),
        Format::Json => format!(
            r#"{{"id":{id},"ts":{time},"host":"db-07","service":"c","state":{status},"sev":{severity},"val":{value},"out":{summary},"tags":{{{labels}}}{more}}}"#
        ),
    }
    .into_bytes()
}
