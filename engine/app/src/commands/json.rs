//! JSON for scripts: protobuf's form, but for 64-bit integers.
use super::table::printable;
use anyhow::anyhow;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use quell_proto::DESCRIPTORS;
use std::fmt::Write as _;

/// Messages in protobuf's JSON form (<https://protobuf.dev/programming-guides/json/>), but 64-bit integers are numbers, where
/// that form, and REST with it, has texts: a shell compares numbers.
pub struct Json(MessageDescriptor);

impl Json {
    /// Of a message by its name in package `quell.v1`.
    ///
    /// # Errors
    /// Where there is none: a defect of the build.
    pub fn of(message: &str) -> anyhow::Result<Self> {
        let pool = DescriptorPool::decode(DESCRIPTORS)?;
        let found = pool.get_message_by_name(&format!("quell.v1.{message}"));
        found.map(Self).ok_or_else(|| anyhow!("the descriptor set lacks {message}"))
    }

    /// On one line, without its end. What a terminal would act on is escaped.
    ///
    /// # Errors
    /// Where it is not of this message.
    pub fn line<T: Message>(&self, message: &T) -> anyhow::Result<String> {
        let message = DynamicMessage::decode(self.0.clone(), &*message.encode_to_vec())?;
        let mut text = Vec::new();
        let options = SerializeOptions::new().stringify_64_bit_integers(false);
        message.serialize_with_options(&mut serde_json::Serializer::new(&mut text), &options)?;
        Ok(escaped(&String::from_utf8(text)?))
    }
}

/// JSON in which what a terminal would act on stands as `\u009b`: serde_json does so below U+0020 only.
pub(super) fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        let mut units = [0; 2];
        if c.is_ascii() || printable(c.encode_utf8(&mut [0; 4])) != " " {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                // Writing to a string can't fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_moves_no_cursor_and_says_the_same() {
        let hostile = "a\u{1b}[2J b\u{9b}2J \u{202e}c ü 注文 \"\\";
        let json = serde_json::to_string(hostile).expect("JSON");
        let safe = escaped(&json);
        assert!(safe.chars().all(|c| !c.is_control() && c != '\u{202e}') && safe.contains("\\u009b"), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).ok().as_deref(), Some(hostile));
    }
}
