//! Path templates of `google.api.http`: `/api/v1/{name=scopes/*/incidents/*}:acknowledge`
//! (<https://google.aip.dev/127>).
use percent_encoding::percent_decode_str;
use std::ops::Range;

/// One part of a path, between slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    Literal(String),
    /// `*`: any, not empty.
    One,
    /// `**`: all that is left.
    Rest,
}

/// A part of a path that fills a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// `name`, or by dots `silence.name`.
    pub field: String,
    /// Which segments.
    pub segments: Range<usize>,
}

/// A template, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub segments: Vec<Segment>,
    pub variables: Vec<Variable>,
    /// What stands after the last colon: `acknowledge`.
    pub verb: Option<String>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, for whoever writes the proto files.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("{text}: {what}");
        let (path, verb) = match text.rsplit_once(':') {
            Some((path, verb)) if !verb.contains(['/', '}']) => (path, Some(verb.to_owned())),
            _ => (text, None),
        };
        let mut template = Self { segments: Vec::new(), variables: Vec::new(), verb };
        let mut rest = path;
        while !rest.is_empty() {
            rest = rest.strip_prefix('/').ok_or_else(|| wrong("a slash is expected before each part"))?;
            if let Some(inner) = rest.strip_prefix('{') {
                let (variable, after) = inner.split_once('}').ok_or_else(|| wrong("a brace is not closed"))?;
                let (field, parts) = variable.split_once('=').unwrap_or((variable, "*"));
                let from = template.segments.len();
                template.segments.extend(parts.split('/').map(Segment::parse));
                template.variables.push(Variable { field: field.to_owned(), segments: from..template.segments.len() });
                rest = after;
            } else {
                let end = rest.find('/').unwrap_or(rest.len());
                template.segments.push(Segment::parse(&rest[..end]));
                rest = &rest[end..];
            }
        }
        let (last, others) = template.segments.split_last().ok_or_else(|| wrong("it is empty"))?;
        if others.contains(&Segment::Rest) || template.segments.contains(&Segment::Literal(String::new())) {
            return Err(wrong(if *last == Segment::Rest { "`**` stands once, at the end" } else { "a part is empty" }));
        }
        Ok(template)
    }

    /// The fields that a path fills, decoded; `None` where it is another path.
    ///
    /// Every `%2F` becomes a slash: a scope may hold one, and its resource names hold it as it is.
    pub fn matches(&self, path: &str) -> Option<Vec<(&str, String)>> {
        self.fill(match &self.verb {
            Some(verb) => path.strip_suffix(verb.as_str())?.strip_suffix(':')?,
            None => path,
        })
    }

    /// The verb that this template has at a path without one.
    pub fn verb_at(&self, path: &str) -> Option<&str> {
        self.verb.as_deref().filter(|_| self.fill(path).is_some())
    }

    fn fill(&self, path: &str) -> Option<Vec<(&str, String)>> {
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let parts: Vec<String> = parts.into_iter().map(decoded).collect::<Option<_>>()?;
        let open = self.segments.last() == Some(&Segment::Rest);
        if parts.len() < self.segments.len() || (!open && parts.len() > self.segments.len()) {
            return None;
        }
        let fits = |(segment, part): (&Segment, &String)| match segment {
            Segment::Literal(literal) => literal == part,
            Segment::One | Segment::Rest => !part.is_empty(),
        };
        if !self.segments.iter().zip(&parts).all(fits) {
            return None;
        }
        let value = |variable: &Variable| {
            let to_the_end = open && variable.segments.end == self.segments.len();
            let end = if to_the_end { parts.len() } else { variable.segments.end };
            parts[variable.segments.start..end].join("/")
        };
        Some(self.variables.iter().map(|variable| (variable.field.as_str(), value(variable))).collect())
    }
}

impl Segment {
    fn parse(text: &str) -> Self {
        match text {
            "*" => Self::One,
            "**" => Self::Rest,
            literal => Self::Literal(literal.to_owned()),
        }
    }
}

fn decoded(part: &str) -> Option<String> {
    percent_decode_str(part).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(template: &str, path: &str) -> Option<Vec<(String, String)>> {
        let template = Template::parse(template).expect("a template");
        let found = template.matches(path)?;
        Some(found.into_iter().map(|(field, value)| (field.to_owned(), value)).collect())
    }

    #[test]
    fn paths_fill_fields() {
        let name = |value: &str| Some(vec![("name".to_owned(), value.to_owned())]);
        let get = "/v1/{name=scopes/*/incidents/*}";
        for (template, path, found) in [
            ("/v1/incidents", "/v1/incidents", Some(vec![])),
            ("/v1/incidents", "/v1/incidents/", None),
            ("/v1/incidents", "/v1/incidents:watch", None),
            ("/v1/incidents:watch", "/v1/incidents:watch", Some(vec![])),
            ("/v1/incidents:watch", "/v1/incidents", None),
            (get, "/v1/scopes/a/incidents/7", name("scopes/a/incidents/7")),
            (get, "/v1/scopes/a%2Fb/incidents/%C3%BC", name("scopes/a/b/incidents/ü")),
            (get, "/v1/scopes/a:b/incidents/7", name("scopes/a:b/incidents/7")),
            (get, "/v1/scopes//incidents/7", None),
            (get, "/v1/scopes/a/incidents/%FF", None),
            (get, "/v1/scopes/a/alerts/7", None),
            (get, "/v1/scopes/a/incidents/7/x", None),
            ("/v1/{name=scopes/*}:go", "/v1/scopes/a:go", name("scopes/a")),
            ("/v1/{name=scopes/*}:go", "/v1/scopes/a%3Ago", None),
            ("/v1/{name}", "/v1/a", name("a")),
            ("/v1/{name=files/**}", "/v1/files/a/b", name("files/a/b")),
            ("/v1/{name=files/**}", "/v1/files", None),
        ] {
            assert_eq!(matched(template, path), found, "{template} {path}");
        }
    }

    #[test]
    fn templates_that_say_nothing_are_refused() {
        for bad in ["", "v1", "/v1/{name", "/v1//x", "/v1/**/x", "/v1/{name=a}b"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
