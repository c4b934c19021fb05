//! A request from what a path, a query and a body say, by protobuf's JSON form
//! (<https://protobuf.dev/programming-guides/json/>).
use super::{
    binding::{Binding, Body, PathValues, field},
    problem::Problem,
};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind};
use serde_json::{Map, Value, map::Entry};

/// The message of a request.
///
/// # Errors
/// 400 with the field or parameter that is wrong, and why.
pub fn message(
    binding: &Binding,
    path: PathValues<'_>,
    query: &[(String, String)],
    body: &[u8],
) -> Result<DynamicMessage, Problem> {
    let input = binding.method.input();
    let mut tree = match &binding.body {
        Body::Nothing => Map::new(),
        Body::Whole => match json(body)? {
            Value::Object(object) => object,
            _ => return Err(Problem::invalid("the body: an object is expected")),
        },
        Body::Field(field) => Map::from_iter([(field.json_name().to_owned(), json(body)?)]),
    };
    for (name, text) in query {
        let (field, names) = field(&input, name).map_err(|error| Problem::invalid(format!("the query: {error}")))?;
        let in_body = match &binding.body {
            Body::Nothing => false,
            Body::Whole => true,
            Body::Field(field) => names.first().is_some_and(|first| first == field.json_name()),
        };
        if in_body {
            return Err(Problem::invalid(format!("the query: `{name}` belongs into the body here")));
        }
        put(&mut tree, &names, leaf(name, &field, text)?, field.is_list())
            .map_err(|()| Problem::invalid(format!("the query: `{name}` is given twice")))?;
    }
    for (name, value) in path {
        let (_, names) = field(&input, name).map_err(|error| Problem::invalid(error.to_string()))?;
        // A body may call it by its name in the proto too.
        let other = if names == [name] { None } else { tree.remove(name) };
        let differs = other.is_some_and(|other| other != value.as_str());
        if differs || put(&mut tree, &names, Value::String(value), false).is_err() {
            return Err(Problem::invalid(format!("`{name}` is given twice: the path says it")));
        }
    }
    read(binding, Value::Object(tree))
}

fn json(body: &[u8]) -> Result<Value, Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(body).map_err(|error| Problem::invalid(format!("the body is not readable as JSON: {error}")))
}

fn read(binding: &Binding, tree: Value) -> Result<DynamicMessage, Problem> {
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(tree, &mut track);
    DynamicMessage::deserialize(binding.method.input(), tracked).map_err(|error| {
        let path = track.path().to_string();
        Problem::invalid(if path == "." { error.to_string() } else { format!("{path}: {error}") })
    })
}

/// A parameter's text as JSON: protobuf's JSON form takes numbers, enums, times and bytes as texts.
fn leaf(name: &str, field: &FieldDescriptor, text: &str) -> Result<Value, Problem> {
    let wrong = |what: &str| Err(Problem::invalid(format!("the query: `{name}`: {what}")));
    if field.is_map() {
        return wrong("a map has no form in a query");
    }
    match field.kind() {
        Kind::Bool => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => wrong("true or false is expected"),
        },
        Kind::Enum(of) => match text.parse::<i32>() {
            Ok(number) => Ok(number.into()),
            Err(_) if of.get_value_by_name(text).is_some() => Ok(text.into()),
            Err(_) => {
                let names: Vec<String> = of.values().map(|value| value.name().to_owned()).collect();
                wrong(&format!("one of these is expected: {}", names.join(", ")))
            }
        },
        Kind::Message(of) if of.package_name() != "google.protobuf" => wrong("name one of its fields, after a dot"),
        _ => Ok(text.into()),
    }
}

/// Puts a value where its names lead. Fails where another stands there already.
fn put(tree: &mut Map<String, Value>, names: &[String], value: Value, list: bool) -> Result<(), ()> {
    let Some((first, rest)) = names.split_first() else { return Err(()) };
    if !rest.is_empty() {
        let inner = tree.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
        return inner.as_object_mut().ok_or(()).and_then(|inner| put(inner, rest, value, list));
    }
    match tree.entry(first.clone()) {
        Entry::Vacant(place) => {
            place.insert(if list { Value::Array(vec![value]) } else { value });
            Ok(())
        }
        Entry::Occupied(mut place) if list => place.get_mut().as_array_mut().ok_or(()).map(|all| all.push(value)),
        Entry::Occupied(place) if *place.get() == value => Ok(()),
        Entry::Occupied(_) => Err(()),
    }
}
