//! Where what an event says was learnt: from a page, a webhook, an answer, or a person.
//!
//! The letters in the serde names are part of the format on disk (`docs/format.md`).

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A webhook message that an event was made of, by the id that its sender gave it.
///
/// Written as the id if the event stands for all of it, else as a list of the id alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookMessage {
    /// With the event, the message is taken in.
    Whole(String),
    /// It told of more than the event does: [`Body::Received`](crate::Body::Received) says when all of it is taken in.
    Part(String),
}

impl WebhookMessage {
    /// The id that its sender gave it.
    pub fn id(&self) -> &str {
        match self {
            Self::Whole(id) | Self::Part(id) => id,
        }
    }
}

impl Serialize for WebhookMessage {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Whole(id) => to.serialize_str(id),
            Self::Part(id) => [id].serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for WebhookMessage {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Whole(String),
            Part([String; 1]),
        }
        Ok(match Written::deserialize(from)? {
            Written::Whole(id) => Self::Whole(id),
            Written::Part([id]) => Self::Part(id),
        })
    }
}

/// Where an observation came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A page of a poll or a listing.
    #[serde(rename = "page")]
    Page,
    /// A webhook; its message, if the sender named it.
    #[serde(rename = "hook")]
    Webhook(Option<WebhookMessage>),
    /// The answer to a write of ours.
    #[serde(rename = "ans")]
    Answer,
    /// A read of this one record.
    #[serde(rename = "get")]
    Fetch,
    /// A complete listing in which the record was missing, then a read of it.
    #[serde(rename = "miss")]
    Missing,
    /// A person of whom no more is known.
    #[serde(rename = "op")]
    Operator,
    /// A person, by command or page.
    #[serde(rename = "who")]
    Person {
        /// Who.
        #[serde(rename = "b")]
        by: String,
        /// Why.
        #[serde(rename = "r")]
        reason: String,
    },
    /// hms-sync itself: a settle or a join.
    #[serde(rename = "self")]
    Engine,
}

#[cfg(test)]
mod tests {
    use super::WebhookMessage;

    #[test]
    fn a_message_is_written_as_its_id_or_as_a_list_of_it() {
        let (whole, part) = (WebhookMessage::Whole("m1".into()), WebhookMessage::Part("m1".into()));
        for (message, written) in [(whole, "\"m1\""), (part, "[\"m1\"]")] {
            assert_eq!(serde_json::to_string(&message).unwrap(), written);
            let packed = rmp_serde::to_vec(&message).unwrap();
            assert_eq!(rmp_serde::from_slice::<WebhookMessage>(&packed).unwrap(), message);
        }
        for wrong in ["[]", "[\"m1\", \"m2\"]", "1", "{}"] {
            assert!(serde_json::from_str::<WebhookMessage>(wrong).is_err(), "{wrong}");
        }
    }
}
