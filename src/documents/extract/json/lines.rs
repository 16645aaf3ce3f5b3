//! A record without a text of its own, as text: its values, `name: value` a line, in the order in which they stand.

use std::fmt::{self, Display};

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

/// Bytes of a record's lines: each repeats the names that lead to it.
pub const MAX_LINES: usize = 32 << 20;

/// The record's values, a line each: strings, and the numbers and booleans beside them, as a CSV file would have them. A
/// nested name is its path, `author.name`; the elements of a list have the list's. Empty strings and nulls are left
/// out. `None` if the record has no string at all. `json` is a record that was parsed before.
///
/// # Errors
/// The lines are larger than [`MAX_LINES`].
pub fn name_value_lines(json: &[u8]) -> Result<Option<String>, serde_json::Error> {
    let mut lines = Lines::default();
    serde_json::Deserializer::from_slice(json).deserialize_any(&mut lines)?;
    Ok(lines.has_string.then_some(lines.text))
}

#[derive(Default)]
struct Lines {
    text: String,
    /// The name of the value that comes next.
    path: String,
    has_string: bool,
}

impl Lines {
    fn line<E: serde::de::Error>(&mut self, value: impl Display) -> Result<(), E> {
        let Self { text, path, .. } = self;
        if text.len() + path.len() > MAX_LINES {
            return Err(E::custom("its lines are too large"));
        }
        let newline = if text.is_empty() { "" } else { "\n" };
        let colon = if path.is_empty() { "" } else { ": " };
        text.push_str(&format!("{newline}{path}{colon}{value}"));
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Lines {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Lines {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.line(value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.line(value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.line(value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        // With its decimal point, as it was written.
        self.line(serde_json::Value::from(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        let value = value.trim();
        if value.is_empty() {
            return Ok(());
        }
        self.has_string = true;
        self.line(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(&mut *self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let above = self.path.len();
        while let Some(name) = members.next_key::<String>()? {
            if above > 0 {
                self.path.push('.');
            }
            self.path.push_str(name.trim());
            members.next_value_seed(&mut *self)?;
            self.path.truncate(above);
        }
        Ok(())
    }
}
