//! JSON schemas of messages and enums, by protobuf's JSON form.
use super::{message_name, short_name};
use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

/// Those that the document has come across.
pub struct Schemas {
    components: BTreeMap<String, Value>,
    /// Comments of the proto files, by file and path.
    comments: HashMap<(String, Vec<i32>), String>,
}

/// Whether a message is a plain value in JSON: `google.protobuf`'s times and the like.
pub fn is_plain(message: &MessageDescriptor) -> bool {
    message.package_name() == "google.protobuf"
}

impl Schemas {
    /// None yet.
    pub fn new(pool: &DescriptorPool) -> Self {
        let mut comments = HashMap::new();
        for file in pool.files() {
            let locations = file.file_descriptor_proto().source_code_info.iter().flat_map(|info| &info.location);
            for location in locations {
                let lines = location.leading_comments().lines().map(str::trim);
                let text = lines.collect::<Vec<_>>().join("\n").trim().to_owned();
                if !text.is_empty() {
                    comments.insert((file.name().to_owned(), location.path.clone()), text);
                }
            }
        }
        Self { components: BTreeMap::new(), comments }
    }

    /// What stands above something in its proto file.
    pub fn comment(&self, file: &FileDescriptor, path: &[i32]) -> String {
        self.comments.get(&(file.name().to_owned(), path.to_vec())).cloned().unwrap_or_default()
    }

    /// All of them, by name.
    pub fn into_components(self) -> BTreeMap<String, Value> {
        self.components
    }

    /// The body of every error.
    pub fn add_error(&mut self) {
        let error = json!({"type": "object", "required": ["error"], "properties": {"error": {
            "type": "object",
            "required": ["code", "status", "message"],
            "properties": {
                "code": {"type": "integer", "description": "HTTP's."},
                "status": {"type": "string", "description": "gRPC's: `NOT_FOUND`."},
                "message": {"type": "string"},
                "details": {"type": "array", "items": {}},
            },
        }}});
        self.components.insert("Error".to_owned(), error);
    }

    /// A schema that is no message's; a reference to it.
    pub fn add(&mut self, name: &str, schema: Value) -> Value {
        self.components.insert(name.to_owned(), schema);
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    /// A reference to a message's schema, which is there then.
    pub fn reference(&mut self, message: &MessageDescriptor) -> Value {
        let name = message_name(message);
        if !self.components.contains_key(name) {
            // Taken first: messages may hold themselves.
            self.components.insert(name.to_owned(), Value::Null);
            let object = self.object(message, |_| true);
            self.components.insert(name.to_owned(), object);
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    fn enum_reference(&mut self, of: &EnumDescriptor) -> Value {
        let name = short_name(of.full_name(), of.package_name());
        if !self.components.contains_key(name) {
            let names: Vec<String> = of.values().map(|value| value.name().to_owned()).collect();
            let schema = json!({"type": "string", "enum": names});
            let schema = with_comment(schema, self.comment(&of.parent_file(), of.path()));
            self.components.insert(name.to_owned(), schema);
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    /// A message with some of its fields.
    pub fn object(&mut self, message: &MessageDescriptor, has: impl Fn(&FieldDescriptor) -> bool) -> Value {
        let fields: Vec<_> = message.fields().filter(has).collect();
        let properties: Map<String, Value> =
            fields.iter().map(|field| (field.json_name().to_owned(), self.field(field))).collect();
        let schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
        with_comment(schema, self.comment(&message.parent_file(), message.path()))
    }

    /// A field, with its comment.
    pub fn field(&mut self, field: &FieldDescriptor) -> Value {
        let schema = self.bare(field);
        let mut comment = self.comment(&field.parent_message().parent_file(), field.path());
        if let Some(oneof) = field.containing_oneof().filter(|oneof| !oneof.is_synthetic()) {
            comment = format!("{comment}\nAt most one of `{}` is given.", oneof.name()).trim().to_owned();
        }
        with_comment(schema, comment)
    }

    /// A field, without.
    pub fn bare(&mut self, field: &FieldDescriptor) -> Value {
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                json!({"type": "object", "additionalProperties": self.kind(&entry.map_entry_value_field().kind())})
            }
            kind if field.is_list() => json!({"type": "array", "items": self.kind(&kind)}),
            kind => self.kind(&kind),
        }
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Bool => json!({"type": "boolean"}),
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Kind::Double => json!({"type": "number", "format": "double"}),
            Kind::Float => json!({"type": "number", "format": "float"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({"type": "integer", "format": "int32"}),
            Kind::Uint32 | Kind::Fixed32 => json!({"type": "integer", "format": "int64", "minimum": 0}),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => json!({"type": "string", "format": "int64"}),
            Kind::Uint64 | Kind::Fixed64 => json!({"type": "string", "format": "uint64"}),
            Kind::Enum(of) => self.enum_reference(of),
            Kind::Message(of) => match of.full_name() {
                "google.protobuf.Timestamp" => json!({"type": "string", "format": "date-time"}),
                _ if is_plain(of) => json!({"type": "string"}),
                _ => self.reference(of),
            },
        }
    }
}

fn with_comment(mut schema: Value, comment: String) -> Value {
    if !comment.is_empty() {
        schema["description"] = comment.into();
    }
    schema
}
