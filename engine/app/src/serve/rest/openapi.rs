//! The description of the REST API (<https://spec.openapis.org/oas/v3.1.1>), made of the same descriptors and options
//! that answer requests, with the comments of the proto files; of the doors beside it, by their table.
mod doors;
mod schema;

use super::{
    binding::{Binding, Body, field},
    template::{Segment, Template},
};
use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};
use schema::{Schemas, is_plain};
use serde_json::{Map, Value, json};

const CONVENTIONS: &str = "Bodies are protobuf's JSON form: fields at their default are left out, 64-bit integers are \
    texts. Resource names are paths; a slash in one of their parts is `%2F`. Watches answer with a JSON text a line, as \
    they come; an error is the last line.";

/// The document.
pub fn document(pool: &DescriptorPool, bindings: &[Binding]) -> Value {
    let mut schemas = Schemas::new(pool);
    let mut paths = Map::new();
    let mut before = None;
    for binding in bindings {
        // The bindings of a method stand side by side; those after the first are told apart by what their path fills.
        let first = before.replace(binding.method.full_name()) != Some(binding.method.full_name());
        let (path, _) = path(&binding.template);
        let at = paths.entry(path).or_insert_with(|| Value::Object(Map::new()));
        at[binding.http.as_str().to_ascii_lowercase()] = operation(binding, first, &mut schemas);
    }
    schemas.add_error();
    doors::add(&mut paths, &mut schemas);
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Quell",
            "version": env!("CARGO_PKG_VERSION"),
            "description": CONVENTIONS,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": schemas.into_components()},
    })
}

fn operation(binding: &Binding, first: bool, schemas: &mut Schemas) -> Value {
    let (method, input) = (&binding.method, binding.method.input());
    let by = |v: &super::template::Variable| v.field.split(['.', '_']).map(capitalised).collect::<String>();
    let by: Vec<String> = binding.template.variables.iter().map(by).collect();
    let id = if first { method.name().to_owned() } else { format!("{}By{}", method.name(), by.join("And")) };
    let mut parameters = path_parameters(binding, schemas);
    let in_path = |name: &str| binding.template.variables.iter().any(|variable| variable.field == name);
    if binding.body != Body::Whole {
        let in_body = |field: &FieldDescriptor| matches!(&binding.body, Body::Field(body) if body == field);
        let fields = input.fields().filter(|field| !in_body(field) && !in_path(field.name()));
        fields.for_each(|field| query_parameters(&field, "", schemas, &mut parameters));
    }
    let content = if method.is_server_streaming() { "application/x-ndjson" } else { "application/json" };
    let mut operation = json!({
        "operationId": id,
        "tags": [tag(&binding.template)],
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done.", "content": {content: {"schema": schemas.reference(&method.output())}}},
            "default": {"description": "An error.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}},
        },
    });
    let comment = schemas.comment(&method.parent_file(), method.path());
    if !comment.is_empty() {
        operation["description"] = comment.into();
    }
    let body = match &binding.body {
        Body::Nothing => None,
        Body::Whole => Some(schemas.object(&input, |field| !in_path(field.name()))),
        Body::Field(field) => Some(schemas.field(field)),
    };
    if let Some(schema) = body {
        operation["requestBody"] = json!({"content": {"application/json": {"schema": schema}}});
    }
    operation
}

/// A parameter for each part of the path that is not said: `scope` and `incident` of `scopes/*/incidents/*`.
fn path_parameters(binding: &Binding, schemas: &mut Schemas) -> Vec<Value> {
    let describe = |index: usize| {
        let variable = binding.template.variables.iter().find(|v| v.segments.contains(&index))?;
        let (field, _) = field(&binding.method.input(), &variable.field).ok()?;
        Some(schemas.comment(&field.parent_message().parent_file(), field.path())).filter(|text| !text.is_empty())
    };
    let one = |(index, name): (usize, String)| {
        let mut parameter = json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}});
        if let Some(text) = describe(index) {
            parameter["description"] = text.into();
        }
        parameter
    };
    path(&binding.template).1.into_iter().map(one).collect()
}

/// A parameter for a field, or for each field of a message, by dots.
fn query_parameters(field: &FieldDescriptor, prefix: &str, schemas: &mut Schemas, all: &mut Vec<Value>) {
    let name = format!("{prefix}{}", field.json_name());
    match field.kind() {
        Kind::Message(inner) if !is_plain(&inner) => {
            // Neither a list of messages nor a map has a form in a query.
            if !field.is_list() && !field.is_map() {
                inner.fields().for_each(|field| query_parameters(&field, &format!("{name}."), schemas, all));
            }
        }
        _ => {
            let mut parameter = json!({"name": name, "in": "query", "schema": schemas.bare(field)});
            let comment = schemas.comment(&field.parent_message().parent_file(), field.path());
            if !comment.is_empty() {
                parameter["description"] = comment.into();
            }
            all.push(parameter);
        }
    }
}

/// `/api/v1/scopes/{scope}/incidents/{incident}:acknowledge`, and which parameter stands at which segment.
pub fn path(template: &Template) -> (String, Vec<(usize, String)>) {
    let (mut text, mut names) = (String::new(), Vec::<(usize, String)>::new());
    let mut collection = "id";
    for (index, segment) in template.segments.iter().enumerate() {
        text.push('/');
        match segment {
            Segment::Literal(literal) => {
                text.push_str(literal);
                collection = literal;
            }
            Segment::One | Segment::Rest => {
                let mut name = collection.strip_suffix('s').unwrap_or(collection).to_owned();
                while names.iter().any(|(_, taken)| *taken == name) {
                    name.push('_');
                }
                text.push_str(&format!("{{{name}}}"));
                names.push((index, name));
            }
        }
    }
    if let Some(verb) = &template.verb {
        text.push_str(&format!(":{verb}"));
    }
    (text, names)
}

/// The collection: the last literal of the path.
fn tag(template: &Template) -> &str {
    let mut literals = template.segments.iter().rev().filter_map(|segment| match segment {
        Segment::Literal(literal) => Some(literal.as_str()),
        Segment::One | Segment::Rest => None,
    });
    literals.next().unwrap_or("api")
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `IncidentAlert`, `Incident.State`: a name without its package.
fn short_name<'a>(full_name: &'a str, package: &str) -> &'a str {
    full_name.strip_prefix(package).and_then(|name| name.strip_prefix('.')).unwrap_or(full_name)
}

/// As a component is called.
fn message_name(message: &MessageDescriptor) -> &str {
    short_name(message.full_name(), message.package_name())
}
