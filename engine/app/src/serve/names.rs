//! Resource names: `scopes/{scope}/{collection}/{id}` (<https://google.aip.dev/122>). A scope has no `/` and is never `-`
//! (events of others are refused at ingest), so a name reads in one way only; the id of a service may have some.
use super::errors::invalid;
use tonic::Status;

/// The scope and the id of a name.
///
/// # Errors
/// `INVALID_ARGUMENT` where it is no such name.
pub fn parse<'a>(field: &str, name: &'a str, collection: &str) -> Result<(&'a str, &'a str), Status> {
    let parts = name.strip_prefix("scopes/").and_then(|rest| rest.split_once('/'));
    let found = parts.and_then(|(scope, rest)| Some((scope, rest.strip_prefix(collection)?.strip_prefix('/')?)));
    found
        .filter(|(scope, id)| !scope.is_empty() && *scope != "-" && !id.is_empty())
        .ok_or_else(|| invalid(field, format_args!("write `scopes/{{scope}}/{collection}/{{id}}`, not `{name}`")))
}

/// As [`parse`], of a resource whose id is a number.
///
/// # Errors
/// `INVALID_ARGUMENT` where it is no such name.
pub fn parse_id<'a>(field: &str, name: &'a str, collection: &str) -> Result<(&'a str, u64), Status> {
    let (scope, id) = parse(field, name, collection)?;
    let number = Some(id).filter(|id| id.len() == 16 && !id.starts_with('+'));
    let number = number.and_then(|id| u64::from_str_radix(id, 16).ok());
    let number = number.ok_or_else(|| invalid(field, format_args!("`{id}` is no id: 16 hexadecimal digits are")))?;
    Ok((scope, number))
}

/// What the names of a parent begin with: `scopes/payments/` of `scopes/payments`; nothing for all scopes.
///
/// # Errors
/// `INVALID_ARGUMENT` where it is no scope's name.
pub fn prefix(parent: &str) -> Result<String, Status> {
    match parent.strip_prefix("scopes/") {
        None if parent.is_empty() => Ok(String::new()),
        Some("-") => Ok(String::new()),
        Some(scope) if !scope.is_empty() && !scope.contains('/') => Ok(format!("scopes/{scope}/")),
        _ => Err(invalid("parent", "write `scopes/{scope}`, or `scopes/-` for all")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_in_one_way() {
        assert_eq!(parse("name", "scopes/eu/services/a/b", "services").ok(), Some(("eu", "a/b")));
        assert_eq!(parse_id("name", "scopes/eu/alerts/00000000000000ff", "alerts").ok(), Some(("eu", 255)));
        for bad in ["", "alerts/1", "scopes//alerts/1", "scopes/-/alerts/1", "scopes/a/b/alerts/1", "scopes/a/alerts/"]
        {
            assert!(parse("name", bad, "alerts").is_err(), "{bad}");
        }
        for bad in ["ff", "+0000000000000ff", "00000000000000fg"] {
            assert!(parse_id("name", &format!("scopes/a/alerts/{bad}"), "alerts").is_err(), "{bad}");
        }
        assert_eq!(prefix("scopes/eu").ok().as_deref(), Some("scopes/eu/"));
        assert_eq!((prefix("").ok().as_deref(), prefix("scopes/-").ok().as_deref()), (Some(""), Some("")));
        assert!(prefix("eu").is_err() && prefix("scopes/").is_err() && prefix("scopes/a/b").is_err());
    }
}
