//! Filters of lists: `field = "value"` and `field != "value"`, joined by `AND`
//! (a part of <https://google.aip.dev/160>).
use tonic::Status;

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    field: &'static str,
    equal: bool,
    value: String,
}

/// Conditions that all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(Vec<Condition>);

const CONDITIONS_MAX: usize = 20;

impl Filter {
    /// Reads a filter over these fields.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` with the place and the fields that there are.
    pub fn parse(text: &str, fields: &'static [&'static str]) -> Result<Self, Status> {
        let mut conditions = Vec::new();
        let text = text.trim();
        let mut rest = text;
        while !rest.is_empty() {
            let name_end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let name = &rest[..name_end];
            let Some(field) = fields.iter().find(|field| **field == name) else {
                let known = fields.join(", ");
                return Err(wrong(text, rest, &format!("a field is expected, one of: {known}")));
            };
            let after = rest[name_end..].trim_start();
            let (equal, after) = match (after.strip_prefix("!="), after.strip_prefix('=')) {
                (Some(after), _) => (false, after.trim_start()),
                (None, Some(after)) => (true, after.trim_start()),
                (None, None) => return Err(wrong(text, after, "= or != is expected")),
            };
            let (value, after) = value(after).ok_or_else(|| wrong(text, after, "a value is expected, like \"NEW\""))?;
            conditions.push(Condition { field, equal, value });
            if conditions.len() > CONDITIONS_MAX {
                return Err(Status::invalid_argument(format!("filter: at most {CONDITIONS_MAX} conditions")));
            }
            rest = after.trim_start();
            if !rest.is_empty() {
                let next = rest.strip_prefix("AND").filter(|next| next.starts_with(char::is_whitespace));
                rest = next.ok_or_else(|| wrong(text, rest, "AND and a condition are expected"))?.trim_start();
            }
        }
        Ok(Self(conditions))
    }

    /// Whether all conditions hold of what `value` gives for a field.
    pub fn matches<'a>(&self, mut value: impl FnMut(&str) -> std::borrow::Cow<'a, str>) -> bool {
        self.0.iter().all(|condition| (value(condition.field) == condition.value) == condition.equal)
    }
}

/// A quoted text with `\"` and `\\`, or a bare word.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            other => value.push(other),
        }
    }
    None
}

fn wrong(text: &str, rest: &str, what: &str) -> Status {
    Status::invalid_argument(format!("filter, at character {}: {what}", text.len() - rest.len() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    const FIELDS: &[&str] = &["state", "entity"];

    #[test]
    fn conditions_hold_together() {
        let filter = Filter::parse(r#"state = "OPEN" AND entity != "a \"b\"""#, FIELDS).expect("valid");
        let of = |state: &'static str, entity: &'static str| {
            filter.matches(|field| if field == "state" { state.into() } else { entity.into() })
        };
        assert!(of("OPEN", "x") && !of("CLEARED", "x") && !of("OPEN", "a \"b\""));
        assert!(Filter::parse("", FIELDS).is_ok());
    }

    #[test]
    fn errors_say_where() {
        for (text, at) in [
            ("colour = 1", "1"),
            ("state", "6"),
            ("state = ", "8"),
            ("state = A entity = b", "11"),
            ("state = A AND ", "11"),
            ("state = A AND", "11"),
            ("state = \"A", "9"),
        ] {
            let error = Filter::parse(text, FIELDS).expect_err(text);
            assert!(error.message().contains(&format!("at character {at}:")), "{text}: {}", error.message());
        }
    }
}
