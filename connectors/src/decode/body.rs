//! The body of an HTTP request, taken apart into events that are then decoded each for itself.
//!
//! Elements are found by their brackets and quotes alone; whether they are JSON is decided when they are decoded, so
//! that an event with an error inside never takes its neighbours with it. Only where brackets or quotes do not close,
//! the rest can't be told apart, and is rejected as one.
use super::Rejection;

/// The most events of one body: what is beyond is rejected as one, so that a body of commas can't fill the memory.
pub const BODY_EVENTS_MAX: usize = 200_000;

/// An element as it stands in the body, or why none can be told from here on (then it is the last one).
pub type Element<'a> = Result<&'a [u8], Rejection>;

/// The events of a body, which is one JSON object, an array of them (RFC 8259), or a line for each (NDJSON, blank lines
/// are skipped). An element's place in the result is its index in the answer. Lines are recognised by the content type
/// (`application/x-ndjson` and the like) or, since many clients name another, by their look.
///
/// # Errors
/// Where there is nothing in the body at all.
pub fn split<'a>(body: &'a [u8], content_type: Option<&str>) -> Result<Vec<Element<'a>>, Rejection> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    match body.first() {
        None => Err(Rejection::new("an empty body")),
        Some(_) if content_type.is_some_and(says_lines) => Ok(lines(body)),
        Some(b'[') => Ok(array(body)),
        Some(_) if looks_like_lines(body) => Ok(lines(body)),
        Some(_) => Ok(vec![Ok(body)]),
    }
}

fn says_lines(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    ["ndjson", "jsonl", "jsonlines", "json-lines", "json-seq"].iter().any(|name| {
        essence
            .strip_prefix("application/")
            .or(essence.strip_prefix("text/"))
            .is_some_and(|sub| sub.strip_prefix("x-").unwrap_or(sub) == *name)
    })
}

/// Not one object alone, and another begins behind it or on a later line.
fn looks_like_lines(body: &[u8]) -> bool {
    let later = || body.split(|byte| *byte == b'\n').skip(1).any(|line| line.trim_ascii_start().first() == Some(&b'{'));
    match scan(body, 0, Newlines::EndStrings, |depth, byte| depth == 1 && matches!(byte, b'}' | b']')) {
        Some(end) => end + 1 < body.len() && later(),
        None => later(),
    }
}

fn lines(body: &[u8]) -> Vec<Element<'_>> {
    let mut lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let mut elements: Vec<Element<'_>> = lines.by_ref().take(BODY_EVENTS_MAX).map(Ok).collect();
    if lines.next().is_some() {
        elements.push(Err(too_many()));
    }
    elements
}

fn array(body: &[u8]) -> Vec<Element<'_>> {
    let mut elements = Vec::new();
    if body.strip_prefix(b"[").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"]")) {
        let end = body.iter().position(|byte| *byte == b']').unwrap_or_default();
        return after(body, end, elements);
    }
    let mut start = 1;
    loop {
        if elements.len() == BODY_EVENTS_MAX {
            elements.push(Err(too_many()));
            return elements;
        }
        let stop = |depth, byte| depth == 0 && matches!(byte, b',' | b']');
        let Some(end) = scan(body, start, Newlines::Pass, stop) else {
            elements.push(Err(Rejection::new(format_args!(
                "a quote or bracket is not closed in event {}, which begins at byte {start} of the body; nothing \
                 from here on was read",
                elements.len()
            ))));
            return elements;
        };
        elements.push(Ok(body[start..end].trim_ascii()));
        if body[end] == b']' {
            return after(body, end, elements);
        }
        start = end + 1;
    }
}

/// What follows the array's end is nobody's.
fn after<'a>(body: &'a [u8], end: usize, mut elements: Vec<Element<'a>>) -> Vec<Element<'a>> {
    if end + 1 < body.len() {
        elements.push(Err(Rejection::new(format_args!("text after the array's end at byte {end} of the body"))));
    }
    elements
}

fn too_many() -> Rejection {
    Rejection::new(format_args!("more than {BODY_EVENTS_MAX} events in one body; nothing from here on was read"))
}

/// What a line break within a string is; JSON has none.
#[derive(Clone, Copy)]
enum Newlines {
    /// Let pass; the element is rejected when it is decoded.
    Pass,
    /// The end: the string was not closed.
    EndStrings,
}

/// The first place from `start` on, outside of strings, where `stop` says so of the depth before it and its byte. A
/// closing bracket closes whatever is open, so that a wrong one spoils its own element only.
fn scan(body: &[u8], start: usize, newlines: Newlines, stop: impl Fn(usize, u8) -> bool) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, start);
    while let Some(&byte) = body.get(at) {
        if byte == b'"' {
            at = string_end(body, at + 1, newlines)?;
        } else if stop(depth, byte) {
            return Some(at);
        } else if matches!(byte, b'{' | b'[') {
            depth += 1;
        } else if matches!(byte, b'}' | b']') {
            depth = depth.saturating_sub(1);
        }
        at += 1;
    }
    None
}

/// Where the string ends that began before `at`.
fn string_end(body: &[u8], mut at: usize, newlines: Newlines) -> Option<usize> {
    loop {
        match body.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            b'\n' if matches!(newlines, Newlines::EndStrings) => return None,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Elements as text; a rejection as `!`.
    fn parts<'a>(body: &'a str, content_type: Option<&str>) -> Vec<&'a str> {
        let elements = split(body.as_bytes(), content_type).expect("not empty");
        elements
            .into_iter()
            .map(|element| element.map_or("!", |bytes| std::str::from_utf8(bytes).expect("text")))
            .collect()
    }

    #[test]
    fn an_object_an_array_or_lines() {
        for (body, expected) in [
            (r#"{"a":1}"#, vec![r#"{"a":1}"#]),
            ("\u{feff} {\"a\":\n{\"b\":1}\n}\n", vec!["{\"a\":\n{\"b\":1}\n}"]),
            ("[]", vec![]),
            (" [ ] ", vec![]),
            (r#"[{"a":[1,2],"s":"],\"]"}, {"b":2}]"#, vec![r#"{"a":[1,2],"s":"],\"]"}"#, r#"{"b":2}"#]),
            ("{\"a\":1}\n\n{\"b\":2}\r\n", vec![r#"{"a":1}"#, r#"{"b":2}"#]),
            ("{\"a\":1\n{\"b\":2}\n", vec![r#"{"a":1"#, r#"{"b":2}"#]),
            ("{\"a\":\"x\n{\"b\":2}\n", vec![r#"{"a":"x"#, r#"{"b":2}"#]),
            ("hello", vec!["hello"]),
            ("{\"a\":1} tail", vec!["{\"a\":1} tail"]),
        ] {
            assert_eq!(parts(body, None), expected, "{body}");
        }
        assert!(split(b" \n ", None).is_err());
        assert!(split(b"\xef\xbb\xbf", None).is_err());
    }

    #[test]
    fn the_content_type_is_believed() {
        for content_type in ["application/x-ndjson", "Application/NDJSON; charset=utf-8", "text/jsonl"] {
            assert_eq!(parts("[1,2]\nx", Some(content_type)), ["[1,2]", "x"], "{content_type}");
        }
        assert_eq!(parts("[1,2]", Some("application/x-www-form-urlencoded")), ["1", "2"]);
    }

    #[test]
    fn a_bad_element_spoils_no_other() {
        assert_eq!(
            parts(r#"[{"a":}, {"b":2], 7,, {"c":3}]"#, None),
            [r#"{"a":}"#, r#"{"b":2]"#, "7", "", r#"{"c":3}"#]
        );
        assert_eq!(parts("[{\"a\":\"x\ny\"},2]", None), ["{\"a\":\"x\ny\"}", "2"]);
    }

    #[test]
    fn where_nothing_can_be_told_the_rest_is_rejected() {
        assert_eq!(parts(r#"[{"a":1},{"b":"2},{"c":3}]"#, None), [r#"{"a":1}"#, "!"]);
        assert_eq!(parts(r#"[{"a":1},{"b":2"#, None), [r#"{"a":1}"#, "!"]);
        assert_eq!(parts("[1,2] [3]", None), ["1", "2", "!"]);
        assert_eq!(parts("[1,2,]", None), ["1", "2", ""]);
        let commas = format!("[{}]", ",".repeat(BODY_EVENTS_MAX + 5));
        assert_eq!(parts(&commas, None).len(), BODY_EVENTS_MAX + 1);
        let rejection = split(br#"[1, {"a": "b]"#, None).expect("an array").pop().expect("two").expect_err("open");
        assert!(rejection.reason.contains("event 1, which begins at byte 3"), "{rejection}");
    }

    proptest! {
        #[test]
        fn never_panics(body in prop::collection::vec(prop::sample::select(&br#"[]{}",:\ 1a"#[..]), 0..60)) {
            let _ = split(&body, None);
            let _ = split(&body, Some("application/x-ndjson"));
        }
    }
}
