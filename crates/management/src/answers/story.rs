//! Why a field has its value: what it was made from, who changed it knowing what,
//! which rule decided, and what each side made of it.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// The whole way of one field's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldStory {
    /// The field.
    pub field: String,
    /// The value that stands.
    pub value: Json,
    /// What decided, by the name it has in the configuration, or `only_value`, `agreed`,
    /// `last_resort`, `lock`, `owner`, `group`, `set`, `counter`, `never_set`.
    pub rule: String,
    /// The same in a sentence.
    pub words: String,
    /// Every value that met, the one that stands first.
    pub values: Vec<ValueStory>,
    /// That all sides had come to agree, if they had.
    pub settled: Option<Noted>,
    /// What each side made of it.
    pub sides: Vec<SideStory>,
}

/// One of the values that met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValueStory {
    /// Whether it stands.
    pub stands: bool,
    /// The value.
    pub value: Json,
    /// Who wanted it.
    pub by: String,
    /// The edit that it came with.
    pub edit: Option<EditStory>,
}

/// One edit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EditStory {
    /// Its place in the record's history.
    pub version: u64,
    /// Its place in the whole log.
    pub seq: u64,
    /// Its BLAKE3 hash, in hexadecimal.
    pub id: String,
    /// When hms-sync wrote it, in RFC 3339.
    pub at: String,
    /// Who made it.
    pub by: String,
    /// What it did to the field, in words.
    pub words: String,
    /// The value before; absent and null alike are null.
    pub before: Json,
    /// The value after.
    pub after: Json,
    /// Whether it deleted the record.
    pub deletes: bool,
    /// How we learnt of it: `page`, `webhook`, `answer`, `read`, `missing`, `operator`, `engine`.
    pub source: String,
    /// The message id of the webhook that told of it, or had the record read.
    pub webhook: Option<String>,
    /// The same in words.
    pub source_words: String,
    /// The BLAKE3 hash of the record's JSON as the side showed it, in hexadecimal.
    pub raw: Option<String>,
    /// The changes of others that its author had not been shown.
    pub not_seen: Vec<NotSeen>,
    /// The same in words.
    pub context_words: String,
    /// False if what its author had seen could not be found out: it then claims too little.
    pub certain: bool,
}

/// A change that an edit's author had not been shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotSeen {
    /// Whose change it was.
    pub by: String,
    /// Of which field; nothing if it was a delete.
    pub field: Option<String>,
    /// When it was written down, in RFC 3339.
    pub at: String,
    /// Its place in the record's history.
    pub version: u64,
}

/// Something that was noted in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// Its place in the record's history.
    pub version: u64,
    /// When, in RFC 3339.
    pub at: String,
    /// What kind of event it was, or of failure: `settled`, `confirmed`, `conflict`, …
    pub kind: String,
    /// In words.
    pub words: String,
}

/// What one side made of a field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SideStory {
    /// The side.
    pub side: String,
    /// How it stands there: `made_there`, `delivered`, `under_way`, `to_be_brought`, `parked`,
    /// `not_kept`, `holds_it`, `not_of_this_side`, `not_there`.
    pub state: String,
    /// The same in words.
    pub words: String,
    /// What it shows, if it shows anything.
    pub shows: Option<Json>,
    /// The writes that carried the field there since the value was made, in order.
    pub writes: Vec<WriteStory>,
}

/// One write, from its intent to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WriteStory {
    /// The version of its intent in the record's history.
    pub version: u64,
    /// When it was decided, in RFC 3339.
    pub at: String,
    /// `create`, `update` or `delete`.
    pub operation: String,
    /// The value it carried.
    pub value: Json,
    /// In words.
    pub words: String,
    /// What happened on the way, in order: tries that came to nothing, being set aside, a
    /// person's word.
    pub tries: Vec<Noted>,
    /// How it ended: `applied`, `failed`, `superseded` by a later one; or `open`.
    pub outcome: String,
    /// That the side carried it out.
    pub applied: Option<Noted>,
    /// What the side made of the field: `taken`, `reformatted`, `altered`, `not_kept`.
    pub answer: Option<String>,
    /// What it made of it, if something else.
    pub shows: Option<Json>,
    /// That the side was read again and still showed it.
    pub read_back: Option<Noted>,
}
