//! The rules of one collection: how its fields merge.
//!
//! Kinds, owners and locks act when an edit is taken in; changing one means
//! folding the log again. Policies act when a value is asked for and may change
//! at any time. A value of [`Rules`] is checked: see [`Builder::build`].

use crate::expression::Expression;
use crate::formulas::Formulas;
use hms_sync_model::{Change, ElementKey, FieldName, FieldType, SideName, Value, VecMap};

/// What a field's registers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// One value.
    #[default]
    Value,
    /// A set, merged element by element.
    Set {
        /// Whether a removal beats a concurrent addition of the same element.
        remove_wins: bool,
    },
    /// A number to which everybody adds; whole numbers only.
    Counter,
}

/// Whose edits of a field count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The side.
    pub side: SideName,
    /// Others' edits fill the field while the owner's value is blank.
    pub unless_blank: bool,
}

/// A rule among concurrent values: it keeps some of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// The latest edit.
    LastWriterWins,
    /// The earliest edit.
    FirstWriterWins,
    /// The side named first.
    Prefer(Vec<SideName>),
    /// The value named first.
    Precedence(Vec<Value>),
    /// The greatest value.
    Max,
    /// The smallest value.
    Min,
    /// Both texts, merged line by line over what both started from.
    MergeText,
    /// What an expression over the values comes to.
    Expression(Expression),
    /// A person.
    Manual,
}

impl Policy {
    /// As the configuration and messages name it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::LastWriterWins => "last_writer_wins",
            Self::FirstWriterWins => "first_writer_wins",
            Self::Prefer(_) => "prefer",
            Self::Precedence(_) => "precedence",
            Self::Max => "max",
            Self::Min => "min",
            Self::MergeText => "merge_text",
            Self::Expression(_) => "expression",
            Self::Manual => "manual",
        }
    }
}

/// Whether an edit of a record stands against a concurrent delete of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Deletes {
    /// The edit.
    #[default]
    EditWins,
    /// The delete.
    DeleteWins,
    /// A person decides; until then the record stays where it is.
    Manual,
}

/// How one field merges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldRule {
    /// What its registers are.
    pub kind: Kind,
    /// Whose edits count.
    pub owner: Option<Owner>,
    /// Sides whose edits fill the field only while all others leave it blank.
    pub fills_blank: Vec<SideName>,
    /// Values that, once reached, only an operator changes.
    pub locks: Vec<Value>,
    /// The rules among concurrent values, in order; none means the collection's.
    pub resolve: Vec<Policy>,
    /// The field's type.
    pub ty: FieldType,
}

impl FieldRule {
    /// What the elements of a set of objects are known by.
    pub fn key(&self) -> Option<&ElementKey> {
        match (self.kind, &self.ty) {
            (Kind::Set { .. }, FieldType::Set(of)) => match &**of {
                FieldType::Object(key) => Some(key),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether nothing of it acts when an edit is taken in: one value, that everybody may write.
    fn is_plain(&self) -> bool {
        let free = self.owner.is_none() && self.fills_blank.is_empty() && self.locks.is_empty();
        free && self.kind == Kind::Value
    }
}

/// Fields that go together: whoever wins the lead wins them all.
///
/// Merging never mixes two authors' groups as long as an edit that touches one
/// field of a group names all of them: see [`Rules::complete_groups`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its fields, the lead among them.
    pub fields: Vec<FieldName>,
    /// The field that the rules look at.
    pub lead: FieldName,
    /// The rules among the concurrent values of the lead.
    pub resolve: Vec<Policy>,
    /// Values of the lead that, once reached, only an operator changes.
    pub locks: Vec<Value>,
}

/// The rules of one collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    fields: VecMap<FieldName, FieldRule>,
    groups: Vec<Group>,
    in_group: VecMap<FieldName, usize>,
    formulas: Vec<Formulas>,
    default: FieldRule,
    side_order: Vec<SideName>,
    deletes: Deletes,
    /// Whether all fields are plain.
    plain: bool,
}

/// Why rules do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRules {
    /// A field is in two groups.
    #[error("field {0} is in two groups")]
    InTwoGroups(FieldName),
    /// A group's lead is not one of its fields.
    #[error("the lead {lead} of group {group} is not one of its fields")]
    LeadOutside {
        /// The group.
        group: String,
        /// Its lead.
        lead: FieldName,
    },
    /// A field of a group has a kind, owner or locks of its own.
    #[error("field {field} is in group {group}, so kind, owner and locks stand there and not with the field")]
    RuledTwice {
        /// The field.
        field: FieldName,
        /// The group.
        group: String,
    },
    /// Formulas are of no group, or of fields that are not in it.
    #[error("the formulas of {0} are of a group or fields that are not there")]
    FormulasOfNothing(String),
    /// Derived fields go in a circle.
    #[error("what {0} is derived from is derived from {0}")]
    Circle(FieldName),
    /// A set or a counter has rules that only single values can have.
    #[error("field {0} is a set or a counter: owner, locks and resolve cannot be combined with that")]
    NotAValue(FieldName),
    /// A field has sides that only fill it, and something else that has the last word.
    #[error(
        "field {0} has sides that fill it while it is blank: owner, locks, sets, counters and groups do not go with that"
    )]
    FilledAndRuled(FieldName),
    /// A field has an owner and locks: the owner's next edit would undo the lock.
    #[error("field {0} has an owner and locks: only one of them can have the last word")]
    OwnedAndLocked(FieldName),
}

impl Rules {
    /// What of the rules acts when an edit is taken in, in words: the same for rules under
    /// which the same edits come to the same registers.
    pub fn folding(&self) -> String {
        let words = |(field, rule): (&FieldName, &FieldRule)| {
            let FieldRule { kind, owner, fills_blank, locks, .. } = rule;
            let key = rule.key().map(|key| format!(" {key}")).unwrap_or_default();
            format!("{field} {kind:?}{key} {owner:?} {fills_blank:?} {locks:?}\n")
        };
        self.fields.iter().filter(|&(_, rule)| !rule.is_plain()).map(words).collect()
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            fields: VecMap::new(),
            groups: Vec::new(),
            in_group: VecMap::new(),
            formulas: Vec::new(),
            default: FieldRule { resolve: vec![Policy::LastWriterWins], ..FieldRule::default() },
            side_order: Vec::new(),
            deletes: Deletes::default(),
            plain: true,
        }
    }
}

/// Builds [`Rules`].
#[derive(Debug, Clone, Default)]
pub struct Builder(Rules);

impl Builder {
    /// How one field merges.
    #[must_use]
    pub fn field(mut self, field: FieldName, rule: FieldRule) -> Self {
        self.0.fields.insert(field, rule);
        self
    }

    /// Fields that go together.
    #[must_use]
    pub fn group(mut self, group: Group) -> Self {
        self.0.groups.push(group);
        self
    }

    /// What holds between the fields of a group.
    #[must_use]
    pub fn formulas(mut self, formulas: Formulas) -> Self {
        self.0.formulas.push(formulas);
        self
    }

    /// The rules among concurrent values for fields that have none of their own.
    #[must_use]
    pub fn default_resolve(mut self, policies: Vec<Policy>) -> Self {
        self.0.default.resolve = policies;
        self
    }

    /// Which side's edit stands when nothing else decides; the first comes first.
    #[must_use]
    pub fn side_order(mut self, sides: impl IntoIterator<Item = SideName>) -> Self {
        self.0.side_order = sides.into_iter().collect();
        self
    }

    /// Whether an edit stands against a concurrent delete.
    #[must_use]
    pub fn deletes(mut self, deletes: Deletes) -> Self {
        self.0.deletes = deletes;
        self
    }

    /// Checks that the rules fit together.
    pub fn build(mut self) -> Result<Rules, InvalidRules> {
        self.check_formulas()?;
        for (at, group) in self.0.groups.iter().enumerate() {
            if !group.fields.contains(&group.lead) {
                return Err(InvalidRules::LeadOutside {
                    group: group.name.clone(),
                    lead: group.lead.clone(),
                });
            }
            for field in &group.fields {
                let own = self.0.fields.get(field);
                if own.is_some_and(|r| !r.fills_blank.is_empty()) {
                    return Err(InvalidRules::FilledAndRuled(field.clone()));
                }
                if own.is_some_and(|r| r.kind != Kind::Value || r.owner.is_some() || !r.locks.is_empty()) {
                    return Err(InvalidRules::RuledTwice { field: field.clone(), group: group.name.clone() });
                }
                if self.0.in_group.insert(field.clone(), at).is_some() {
                    return Err(InvalidRules::InTwoGroups(field.clone()));
                }
            }
        }
        for group in &self.0.groups {
            let lead = self.0.fields.entry_or(group.lead.clone(), FieldRule::default);
            lead.resolve.clone_from(&group.resolve);
            lead.locks.clone_from(&group.locks);
        }
        for (field, rule) in self.0.fields.iter_mut() {
            let plain = rule.owner.is_none() && rule.locks.is_empty();
            if !(rule.fills_blank.is_empty() || plain && rule.kind == Kind::Value) {
                return Err(InvalidRules::FilledAndRuled(field.clone()));
            }
            if rule.kind != Kind::Value && !(plain && rule.resolve.is_empty()) {
                return Err(InvalidRules::NotAValue(field.clone()));
            }
            if rule.owner.is_some() && !rule.locks.is_empty() {
                return Err(InvalidRules::OwnedAndLocked(field.clone()));
            }
            if rule.resolve.is_empty() {
                rule.resolve.clone_from(&self.0.default.resolve);
            }
        }
        self.0.plain = self.0.fields.values().all(FieldRule::is_plain);
        Ok(self.0)
    }
}

impl Builder {
    fn check_formulas(&self) -> Result<(), InvalidRules> {
        for formulas in &self.0.formulas {
            let group = self.0.groups.iter().find(|group| group.name == formulas.group);
            if !group.is_some_and(|group| formulas.derive.keys().all(|field| group.fields.contains(field))) {
                return Err(InvalidRules::FormulasOfNothing(formulas.group.clone()));
            }
            formulas.in_order().map_err(|field| InvalidRules::Circle(field.clone()))?;
        }
        Ok(())
    }
}

impl Rules {
    /// Starts building.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The rule of one field; nothing if it has none of its own.
    pub fn field(&self, field: &FieldName) -> Option<&FieldRule> {
        self.fields.get(field)
    }

    /// The rule of one field, or what holds for all others.
    pub fn rule(&self, field: &FieldName) -> &FieldRule {
        self.fields.get(field).unwrap_or(&self.default)
    }

    /// Fields with rules of their own, in order of name.
    pub fn fields(&self) -> impl Iterator<Item = (&FieldName, &FieldRule)> {
        self.fields.iter()
    }

    /// The groups.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// What holds between the fields of groups.
    pub fn formulas(&self) -> &[Formulas] {
        &self.formulas
    }

    /// Whether edits come to the same in whatever order they are taken in: all but counters
    /// do. Then the newest first is the shortest way, as what they replace need not be written.
    pub fn take_any_order(&self) -> bool {
        self.fields.values().all(|rule| rule.kind != Kind::Counter)
    }

    /// Whether taking in an edit is the same for all fields.
    pub(crate) fn are_plain(&self) -> bool {
        self.plain
    }

    /// Whether a field has one value that everybody may write.
    pub(crate) fn is_plain(&self, field: &str) -> bool {
        let lead = self.in_group.get(field).and_then(|at| self.groups.get(*at));
        let own = lead.map_or(field, |group| group.lead.as_str());
        self.fields.get(own).is_none_or(FieldRule::is_plain)
    }

    /// The group of one field.
    pub fn group_of(&self, field: &FieldName) -> Option<&Group> {
        self.groups.get(*self.in_group.get(field)?)
    }

    /// Adds to an edit's changes the other fields of every group that they touch,
    /// unchanged, as `view` says its author saw them: a group is edited as a whole.
    pub fn complete_groups(
        &self,
        changes: &mut VecMap<FieldName, Change>,
        view: impl Fn(&FieldName) -> Value,
    ) {
        for group in &self.groups {
            if !group.fields.iter().any(|field| changes.contains_key(field)) {
                continue;
            }
            for field in &group.fields {
                let unchanged = || Change { before: view(field), after: view(field) };
                changes.entry_or(field.clone(), unchanged);
            }
        }
    }

    /// Whether an edit stands against a concurrent delete.
    pub fn deletes(&self) -> Deletes {
        self.deletes
    }

    /// A side's place in the last resort; those not named come last.
    pub(crate) fn rank(&self, side: Option<&SideName>) -> usize {
        let place = side.and_then(|side| self.side_order.iter().position(|other| other == side));
        place.unwrap_or(self.side_order.len())
    }
}
