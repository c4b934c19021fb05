//! Which HTTP method and path is which gRPC method: read from the `google.api.http` options of the proto files.
use super::{super::http::doors::nothing_at, problem::Problem, template::Template};
use anyhow::{Context as _, bail, ensure};
use axum::http::{Method, StatusCode};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use std::collections::BTreeSet;
use tonic::Code;

/// What of a request is in the body.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Nothing: all that the path does not say is in the query.
    Nothing,
    /// All that the path does not say.
    Whole,
    /// One field; the rest is in the query.
    Field(FieldDescriptor),
}

/// One way to a method.
#[derive(Clone, Debug)]
pub struct Binding {
    pub http: Method,
    pub template: Template,
    pub body: Body,
    pub method: MethodDescriptor,
}

/// A path's values, by field.
pub type PathValues<'a> = Vec<(&'a str, String)>;

/// Every binding there is, the first of a method before its others.
///
/// # Errors
/// Where an option says what REST can't do: it is found at the start, by the tests.
pub fn bindings(pool: &DescriptorPool) -> anyhow::Result<Vec<Binding>> {
    let option = pool.get_extension_by_name("google.api.http").context("the descriptor set lacks google.api.http")?;
    let mut all = Vec::new();
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let options = method.options();
        if options.has_extension(&option) {
            let rule = options.get_extension(&option);
            let rule = rule.as_message().context("google.api.http is a message")?;
            add(&method, rule, &mut all).with_context(|| format!("google.api.http of {}", method.full_name()))?;
        }
    }
    Ok(all)
}

fn add(method: &MethodDescriptor, rule: &DynamicMessage, all: &mut Vec<Binding>) -> anyhow::Result<()> {
    ensure!(!method.is_client_streaming(), "a stream of requests has no form in HTTP");
    let text = |rule: &DynamicMessage, field: &str| {
        let value = rule.get_field_by_name(field);
        value.and_then(|value| value.as_str().map(str::to_owned)).filter(|text| !text.is_empty())
    };
    ensure!(text(rule, "response_body").is_none(), "response_body is not done");
    let methods = [
        ("get", Method::GET),
        ("put", Method::PUT),
        ("post", Method::POST),
        ("delete", Method::DELETE),
        ("patch", Method::PATCH),
    ];
    let pattern = methods.into_iter().find_map(|(field, http)| Some((http, text(rule, field)?)));
    let (http, path) = pattern.context("it has no path")?;
    let template = Template::parse(&path).map_err(anyhow::Error::msg)?;
    let input = method.input();
    for variable in &template.variables {
        let (field, _) = field(&input, &variable.field)?;
        ensure!(field.kind() == Kind::String && !field.is_list(), "{}: a path fills texts", variable.field);
    }
    let body = match text(rule, "body").as_deref() {
        None => Body::Nothing,
        Some("*") => Body::Whole,
        Some(name) => Body::Field(input.get_field_by_name(name).with_context(|| format!("there is no field {name}"))?),
    };
    all.push(Binding { http, template, body, method: method.clone() });
    let others = rule.get_field_by_name("additional_bindings").context("HttpRule has additional_bindings")?;
    let others: Vec<DynamicMessage> =
        others.as_list().unwrap_or_default().iter().filter_map(|rule| rule.as_message().cloned()).collect();
    others.iter().try_for_each(|rule| add(method, rule, all))
}

/// The field at a path by dots, and its JSON names on the way.
///
/// # Errors
/// Where there is none.
pub fn field(message: &MessageDescriptor, path: &str) -> anyhow::Result<(FieldDescriptor, Vec<String>)> {
    let (mut message, mut names) = (message.clone(), Vec::new());
    let mut parts = path.split('.').peekable();
    while let Some(part) = parts.next() {
        let found = message.get_field_by_name(part).or_else(|| message.get_field_by_json_name(part));
        let Some(found) = found else { bail!("there is no field `{path}`") };
        names.push(found.json_name().to_owned());
        if parts.peek().is_none() {
            return Ok((found, names));
        }
        match found.kind() {
            Kind::Message(inner) if !found.is_list() && !found.is_map() => message = inner,
            _ => break,
        }
    }
    bail!("there is no field `{path}`")
}

/// The binding of a request. A path with a verb is that verb's, whatever else it could be.
///
/// # Errors
/// 404, with the verbs that there are where it asks for another; 405 with the methods that there are.
pub fn find<'a>(all: &'a [Binding], http: &Method, path: &str) -> Result<(&'a Binding, PathValues<'a>), Problem> {
    let fits = |binding: &'a Binding| binding.template.matches(path).map(|values| (binding, values));
    let mut found: Vec<_> = all.iter().filter_map(fits).collect();
    if found.iter().any(|(binding, _)| binding.template.verb.is_some()) {
        found.retain(|(binding, _)| binding.template.verb.is_some());
    }
    let asked = if http == Method::HEAD { &Method::GET } else { http };
    if !found.iter().any(|(binding, _)| binding.http == *asked)
        && found.iter().all(|(binding, _)| binding.template.verb.is_none())
        && let Some(unknown) = unknown_verb(all, path)
    {
        return Err(Problem::new(StatusCode::NOT_FOUND, Code::NotFound, unknown));
    }
    if found.is_empty() {
        return Err(Problem::new(StatusCode::NOT_FOUND, Code::NotFound, nothing_at(path)));
    }
    let mut allow: Vec<&str> = found.iter().map(|(binding, _)| binding.http.as_str()).collect();
    if allow.contains(&"GET") {
        allow.push("HEAD");
    }
    let allow = allow.join(", ");
    found.into_iter().find(|(binding, _)| binding.http == *asked).ok_or_else(|| {
        let message = format!("{http} is not possible at {path}, but {allow} is");
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, message);
        Problem { allow: Some(allow), ..problem }
    })
}

/// What is wrong with a path that ends in a verb which is none, where others are known; a colon may also be a part of a name.
fn unknown_verb(all: &[Binding], path: &str) -> Option<String> {
    let (at, verb) = path.rsplit_once(':').filter(|(_, verb)| !verb.contains('/'))?;
    let known: BTreeSet<&str> = all.iter().filter_map(|binding| binding.template.verb_at(at)).collect();
    let known: Vec<_> = known.into_iter().collect();
    (!known.is_empty()).then(|| format!("there is no verb `{verb}` at {at}, one of: {}", known.join(", ")))
}
