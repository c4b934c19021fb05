//! Patterns in which `*` stands for anything.

/// Whether all of the text matches: `zabbix/*`, `*-eu`, `*`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    while let Some((part, after)) = rest.split_once('*') {
        let Some(at) = text.find(part) else { return false };
        (text, rest) = (&text[at + part.len()..], after);
    }
    text.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text) in [
            ("*", ""),
            ("a", "a"),
            ("a*", "a"),
            ("a*", "abc"),
            ("*c", "abc"),
            ("a*c", "abc"),
            ("*b*", "abc"),
            ("a*b*c*d", "a-b-bb-c-d"),
            ("**", "é"),
            ("*-7", "db-7"),
            ("a*a", "aa"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("a", "ab"),
            ("a*", "ba"),
            ("ab*bc", "abc"),
            ("*b*", "ac"),
            ("a*b*b", "ab"),
            ("*x", "xy"),
            ("a*b*a", "aba-"),
            ("é*", "e"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
