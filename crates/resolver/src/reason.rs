//! Why a value stands: data, and the one place that puts it into words.

use crate::rules::Policy;
use hms_sync_model::{FieldName, SideName, Value};
use std::fmt;

/// Why a field has its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Nobody has touched the field.
    Nobody,
    /// It is the last value; whoever set it had seen all the others.
    OnlyValue,
    /// Several set the same value without knowing of each other.
    Agreed,
    /// A rule decided among values that met.
    Policy(Policy),
    /// Edits too close in time to tell which came first: the one that can have
    /// come later, then the side that comes first in the configuration.
    LastResort,
    /// A value that only an operator may leave.
    Locked,
    /// It is the owner's field.
    Owner(SideName),
    /// A person has to decide; until then the last agreed value stands.
    Manual,
    /// The field goes with the lead of its group.
    GroupLead(FieldName),
    /// Everybody's additions and removals together.
    Union,
    /// The same of elements known by these keys, of which several changed a member.
    Elements(Vec<Value>),
    /// Everybody's additions summed up.
    Sum,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("never set"),
            Self::OnlyValue => f.write_str("the last edit"),
            Self::Agreed => f.write_str("all agree"),
            Self::Policy(policy) => f.write_str(match policy {
                Policy::LastWriterWins => "the later edit",
                Policy::FirstWriterWins => "the earlier edit",
                Policy::Prefer(_) => "preferred side",
                Policy::Precedence(_) => "precedence",
                Policy::Max => "the greater value",
                Policy::Min => "the smaller value",
                Policy::MergeText => "both texts merged",
                Policy::Expression(_) => "the expression",
                Policy::Manual => "a person's choice",
            }),
            Self::LastResort => f.write_str("the later edit, order uncertain"),
            Self::Locked => f.write_str("locked: only an operator changes it"),
            Self::Owner(side) => write!(f, "{side} owns it"),
            Self::Manual => f.write_str("waits for a person"),
            Self::GroupLead(lead) => write!(f, "goes with {lead}"),
            Self::Union => f.write_str("all additions and removals"),
            Self::Elements(keys) => write!(f, "member by member in {}", listed(keys)),
            Self::Sum => f.write_str("all additions summed up"),
        }
    }
}

impl Reason {
    /// The name of what decided, as the configuration calls rules.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Nobody => "never_set",
            Self::OnlyValue => "only_value",
            Self::Agreed => "agreed",
            Self::Policy(policy) => policy.name(),
            Self::LastResort => "last_resort",
            Self::Locked => "lock",
            Self::Owner(_) => "owner",
            Self::Manual => "manual",
            Self::GroupLead(_) => "group",
            Self::Union | Self::Elements(_) => "set",
            Self::Sum => "counter",
        }
    }

    /// Why a value stands, in a sentence. Never with line breaks, whatever the values are.
    pub fn sentence(&self) -> String {
        let words = match self {
            Self::Nobody => "nobody has ever set it",
            Self::OnlyValue => "the last change, made by someone who had seen all others",
            Self::Agreed => "changed without knowing of each other, to the same value",
            Self::Policy(policy) => return policy_sentence(policy),
            Self::LastResort => {
                "made too close in time to tell which came first: the one that can have come later stands, \
                 else that of the side that the configuration names first"
            }
            Self::Locked => "locked: only a person at hms-sync changes it from here",
            Self::Owner(side) => return format!("the field is {side}'s own: only its changes count"),
            Self::Manual => MANUAL,
            Self::GroupLead(lead) => {
                return format!("goes together with {lead}: whoever wins there wins here");
            }
            Self::Union => "everybody's additions and removals together",
            Self::Elements(keys) => {
                return format!(
                    "everybody's additions and removals together; in {} several changed the same member without \
                     knowing of each other, and of each such member one change stands",
                    listed(keys)
                );
            }
            Self::Sum => "everybody's additions summed up",
        };
        words.to_owned()
    }
}

const MANUAL: &str = "a person has to decide; until then what stood before stays";

fn policy_sentence(policy: &Policy) -> String {
    let stands = match policy {
        Policy::LastWriterWins => "the later change stands".to_owned(),
        Policy::FirstWriterWins => "the earlier change stands".to_owned(),
        Policy::Prefer(sides) => {
            let sides: Vec<&str> = sides.iter().map(SideName::as_str).collect();
            format!("the first of {} is heard", sides.join(", "))
        }
        Policy::Precedence(values) => {
            let values: Vec<String> = values.iter().map(short).collect();
            format!("the first of {} stands", values.join(", "))
        }
        Policy::Max => "the greater value stands".to_owned(),
        Policy::Min => "the smaller value stands".to_owned(),
        Policy::MergeText => "both texts were merged, line by line".to_owned(),
        Policy::Expression(expression) => {
            format!("`{}` of both stands", short(&Value::text(expression.source())))
        }
        Policy::Manual => return MANUAL.to_owned(),
    };
    format!("changed without knowing of each other: {stands}")
}

/// Keys in a sentence, the first few.
fn listed(keys: &[Value]) -> String {
    const KEYS_MAX: usize = 5;
    let mut all: Vec<String> = keys.iter().take(KEYS_MAX).map(short).collect();
    if let Some(more) = keys.len().checked_sub(KEYS_MAX).filter(|more| *more > 0) {
        all.push(format!("{more} more"));
    }
    all.join(", ")
}

/// A value in a sentence: in one line, and cut to what it bears.
fn short(value: &Value) -> String {
    const VALUE_MAX: usize = 80;
    let text = value.to_string();
    let mut cut: String = text.chars().take(VALUE_MAX).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each reason with its name, in few words, and in a sentence.
    #[test]
    #[allow(clippy::too_many_lines, reason = "a list of all")]
    fn every_reason_has_its_words() {
        let name = |text: &str| SideName::try_new(text).unwrap_or_else(|why| panic!("{why}"));
        let lead = FieldName::try_new("status").unwrap_or_else(|why| panic!("{why}"));
        let met = "changed without knowing of each other";
        let prefer = Policy::Prefer(vec![name("clerk"), name("marshal")]);
        let precedence = Policy::Precedence(vec!["revoked".into(), "a\nb".into()]);
        let of = |policy: Policy| Reason::Policy(policy);
        for (reason, called, words, sentence) in [
            (Reason::Nobody, "never_set", "never set", "nobody has ever set it".to_owned()),
            (
                Reason::OnlyValue,
                "only_value",
                "the last edit",
                "the last change, made by someone who had seen all others".to_owned(),
            ),
            (Reason::Agreed, "agreed", "all agree", format!("{met}, to the same value")),
            (
                of(Policy::LastWriterWins),
                "last_writer_wins",
                "the later edit",
                format!("{met}: the later change stands"),
            ),
            (
                of(Policy::FirstWriterWins),
                "first_writer_wins",
                "the earlier edit",
                format!("{met}: the earlier change stands"),
            ),
            (of(prefer), "prefer", "preferred side", format!("{met}: the first of clerk, marshal is heard")),
            (of(precedence), "precedence", "precedence", format!("{met}: the first of revoked, a b stands")),
            (of(Policy::Max), "max", "the greater value", format!("{met}: the greater value stands")),
            (of(Policy::Min), "min", "the smaller value", format!("{met}: the smaller value stands")),
            (
                of(Policy::MergeText),
                "merge_text",
                "both texts merged",
                format!("{met}: both texts were merged, line by line"),
            ),
            (of(Policy::Manual), "manual", "a person's choice", MANUAL.to_owned()),
            (
                Reason::LastResort,
                "last_resort",
                "the later edit, order uncertain",
                "made too close in time to tell which came first: the one that can have come later stands, \
                 else that of the side that the configuration names first"
                    .to_owned(),
            ),
            (
                Reason::Locked,
                "lock",
                "locked: only an operator changes it",
                "locked: only a person at hms-sync changes it from here".to_owned(),
            ),
            (
                Reason::Owner(name("clerk")),
                "owner",
                "clerk owns it",
                "the field is clerk's own: only its changes count".to_owned(),
            ),
            (Reason::Manual, "manual", "waits for a person", MANUAL.to_owned()),
            (
                Reason::GroupLead(lead),
                "group",
                "goes with status",
                "goes together with status: whoever wins there wins here".to_owned(),
            ),
            (
                Reason::Union,
                "set",
                "all additions and removals",
                "everybody's additions and removals together".to_owned(),
            ),
            (
                Reason::Elements((1..8).map(Value::from).collect()),
                "set",
                "member by member in 1, 2, 3, 4, 5, 2 more",
                "everybody's additions and removals together; in 1, 2, 3, 4, 5, 2 more several changed the same \
                 member without knowing of each other, and of each such member one change stands"
                    .to_owned(),
            ),
            (Reason::Sum, "counter", "all additions summed up", "everybody's additions summed up".to_owned()),
        ] {
            assert_eq!((reason.name(), reason.to_string().as_str()), (called, words));
            assert_eq!(reason.sentence(), sentence);
        }
    }
}
