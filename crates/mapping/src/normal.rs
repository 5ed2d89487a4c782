//! `normalize`: forms of a text that count as one.
//!
//! What is made here is a fixpoint: a side that sends the normal form back, or
//! another text with the same normal form, has changed nothing.

use crate::canonical::composed;
use hms_sync_model::{FieldType, Value};

/// One thing that does not count in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normal {
    /// White space at both ends.
    Trim,
    /// How much white space there is between words.
    Collapse,
    /// Unicode composed or not.
    Nfc,
    /// Capital letters: all become small ones.
    Lower,
    /// Small letters: all become capitals.
    Upper,
}

/// Rounds after which a text has come to rest, whatever it is; one is the rule.
const ROUNDS: usize = 4;

impl Normal {
    fn of(self, text: &str) -> String {
        match self {
            Self::Trim => text.trim().to_owned(),
            Self::Collapse => collapsed(text),
            Self::Nfc => composed(text).into_owned(),
            Self::Lower => text.to_lowercase(),
            Self::Upper => text.to_uppercase(),
        }
    }

    /// Whether values of the type can have a normal form.
    pub fn suits(ty: &FieldType) -> bool {
        match ty {
            FieldType::String | FieldType::Text => true,
            FieldType::Set(of) => Self::suits(of),
            _ => false,
        }
    }
}

/// Every run of white space as one blank; those at the ends too.
fn collapsed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_whitespace() {
            out.push(c);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}

/// The normal form of a value: of its text, or of each of its elements.
pub(crate) fn normal(steps: &[Normal], value: Value) -> Value {
    match value {
        _ if steps.is_empty() => value,
        Value::Text(text) => {
            let mut now = text.to_string();
            for _ in 0..ROUNDS {
                let next = steps.iter().fold(now.clone(), |text, step| step.of(&text));
                if next == now {
                    break;
                }
                now = next;
            }
            if now == *text { Value::Text(text) } else { Value::text(now) }
        }
        Value::Set(elements) => Value::set(elements.iter().map(|element| normal(steps, element.clone()))),
        other => other,
    }
}
