//! `resolve:`, `owner:` and `locks:`: how the values of a field merge.
//!
//! Names are read here and nowhere else; aliases become the one name that the
//! documentation uses. Names that mean nothing between equal sides are refused
//! with what was probably meant.

use crate::expressions;
use crate::node::{Entry, Kind, Node};
use crate::problem::{At, Problems, nearest};
use crate::section::{self, Section};
use hms_sync_mapping::from_text;
use hms_sync_model::{FieldType, SideName, Value};
use hms_sync_resolver::{Expression, Policy};

/// How a field keeps what was edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    Value,
    Set { adds_win: bool },
    Counter,
}

/// What stands behind `resolve:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolve {
    pub(crate) at: At,
    pub(crate) keeps: Keeps,
    pub(crate) chain: Vec<Policy>,
    /// `sticky` beside `precedence`: the same as `locks`.
    pub(crate) locks: Vec<Value>,
}

impl Resolve {
    /// How the elements of a set merge that is not told how.
    pub(crate) fn of_elements(at: At) -> Self {
        Self { at, keeps: Keeps::Set { adds_win: true }, chain: Vec::new(), locks: Vec::new() }
    }
}

/// Who decides every edit of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) side: SideName,
    pub(crate) unless_blank: bool,
}

/// What rules may name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'c> {
    /// As in "field `status`".
    pub(crate) what: &'c str,
    /// The field's type; nothing for the default of a collection.
    pub(crate) ty: Option<&'c FieldType>,
    /// The sides of the collection.
    pub(crate) sides: &'c [SideName],
}

/// Every name with the one it stands for.
const NAMES: &[(&str, &str)] = &[
    ("last_writer_wins", "last_writer_wins"),
    ("newest_wins", "last_writer_wins"),
    ("most_recent", "last_writer_wins"),
    ("latest", "last_writer_wins"),
    ("first_writer_wins", "first_writer_wins"),
    ("prefer", "prefer"),
    ("source_priority", "prefer"),
    ("side_priority", "prefer"),
    ("precedence", "precedence"),
    ("value_priority", "precedence"),
    ("max", "max"),
    ("min", "min"),
    ("union", "union"),
    ("add_wins", "add_wins"),
    ("remove_wins", "remove_wins"),
    ("counter", "counter"),
    ("additive", "counter"),
    ("delta", "counter"),
    ("merge_text", "merge_text"),
    ("expression", "expression"),
    ("manual", "manual"),
];

/// Names of other products that mean nothing where all sides are equal.
const ONE_SIDED: &[&str] = &[
    "source_wins",
    "target_wins",
    "local_wins",
    "remote_wins",
    "server_wins",
    "client_wins",
    "ours",
    "theirs",
];

/// Reads `resolve:`: a name, a map of a name with its arguments, or a list of both.
pub(crate) fn resolve(node: &Node, scope: Scope<'_>, problems: &mut Problems<'_>) -> Option<Resolve> {
    let mut all = Resolve { at: node.at, keeps: Keeps::Value, chain: Vec::new(), locks: Vec::new() };
    let single = std::slice::from_ref(node);
    let rules = if let Kind::List(rules) = &node.kind { rules.as_slice() } else { single };
    if rules.is_empty() {
        problems.add_hint(
            node.at,
            format!("`resolve` of {} names no policy", scope.what),
            "leave it out for last_writer_wins",
        );
        return None;
    }
    let before = problems.count();
    for rule in rules {
        one(rule, scope, &mut all, problems);
    }
    if all.keeps != Keeps::Value && rules.len() > 1 {
        let message = format!(
            "`resolve` of {}: union and counter stand alone: they leave nothing to decide",
            scope.what
        );
        problems.add(node.at, message);
    }
    for (i, rule) in all.chain.iter().enumerate() {
        if all.chain.iter().take(i).any(|earlier| earlier.name() == rule.name()) {
            problems.add(node.at, format!("`resolve` of {} names {} twice", scope.what, rule.name()));
        }
    }
    (problems.count() == before).then_some(all)
}

/// One rule: a name, or a name with arguments.
fn one(node: &Node, scope: Scope<'_>, all: &mut Resolve, problems: &mut Problems<'_>) {
    match &node.kind {
        Kind::Text(name) => named(name, None, node, scope, all, problems),
        Kind::Map(entries) => {
            let sticky = entries.iter().find(|entry| entry.key == "sticky");
            let others: Vec<&Entry> = entries.iter().filter(|entry| entry.key != "sticky").collect();
            let [policy] = others.as_slice() else {
                problems.add(node.at, format!("a rule of {} must name exactly one policy", scope.what));
                return;
            };
            let key = Node { at: policy.at, kind: Kind::Text(policy.key.clone()) };
            named(&policy.key, Some(&policy.value), &key, scope, all, problems);
            if let Some(sticky) = sticky {
                if canonical_name(&policy.key) == Some("precedence") {
                    all.locks.extend(values(&sticky.value, "`sticky`", scope, problems).unwrap_or_default());
                } else {
                    problems.add_hint(
                        sticky.at,
                        "`sticky` goes with `precedence` only",
                        "for other policies use `locks`",
                    );
                }
            }
        }
        Kind::Spoilt => {}
        _ => problems.add(
            node.at,
            format!("a policy of {} must be a name or a map, this is {}", scope.what, node.describe()),
        ),
    }
}

fn canonical_name(name: &str) -> Option<&'static str> {
    NAMES.iter().find(|(alias, _)| *alias == name).map(|(_, canonical)| *canonical)
}

fn named(
    name: &str,
    args: Option<&Node>,
    node: &Node,
    scope: Scope<'_>,
    all: &mut Resolve,
    problems: &mut Problems<'_>,
) {
    let Some(canonical) = canonical_name(name) else {
        return unknown(name, node.at, scope, problems);
    };
    let what = format!("`{canonical}` of {}", scope.what);
    let takes_args = matches!(canonical, "prefer" | "precedence" | "union" | "expression");
    if let Some(args) = args.filter(|args| !takes_args && !matches!(args.kind, Kind::Null | Kind::Spoilt)) {
        problems.add(args.at, format!("{what} takes no arguments"));
    }
    let rule = match canonical {
        "last_writer_wins" => Policy::LastWriterWins,
        "first_writer_wins" => Policy::FirstWriterWins,
        "max" => Policy::Max,
        "min" => Policy::Min,
        "merge_text" => Policy::MergeText,
        "manual" => Policy::Manual,
        "prefer" => match sides(args, node.at, scope, problems) {
            Some(sides) => Policy::Prefer(sides),
            None => return,
        },
        "precedence" => match precedence(args, node.at, scope, problems) {
            Some(values) => Policy::Precedence(values),
            None => return,
        },
        "expression" => match expression(args, node.at, scope, problems) {
            Some(expression) => Policy::Expression(expression),
            None => return,
        },
        kind => {
            if suits(kind, node.at, scope, problems) {
                all.keeps = keeps(kind, args, problems).unwrap_or(Keeps::Counter);
            }
            return;
        }
    };
    if suits(canonical, node.at, scope, problems) {
        all.chain.push(rule);
    }
}

fn keeps(kind: &str, args: Option<&Node>, problems: &mut Problems<'_>) -> Option<Keeps> {
    let words = [("add_wins", true), ("remove_wins", false)];
    let adds_win = match (kind, args) {
        ("union", Some(args)) => section::choice(args, "`union`", &words, problems)?,
        ("union" | "add_wins", _) => true,
        ("remove_wins", _) => false,
        _ => return Some(Keeps::Counter),
    };
    Some(Keeps::Set { adds_win })
}

fn unknown(name: &str, at: At, scope: Scope<'_>, problems: &mut Problems<'_>) {
    let short: String = name.chars().take(60).collect();
    if ONE_SIDED.contains(&name) {
        let sides: Vec<&str> = scope.sides.iter().map(SideName::as_str).collect();
        let message = format!("`{short}` means nothing where all sides are equal");
        let hint = format!(
            "to prefer a side among concurrent edits: {{ prefer: [{}] }}; to put back every edit of the others: `owner`",
            sides.join(", ")
        );
        problems.add_hint(at, message, hint);
    } else {
        let message = format!("{} cannot be resolved by `{short}`: there is no such policy", scope.what);
        problems.add_hint(at, message, nearest(name, NAMES.iter().map(|(alias, _)| *alias)));
    }
}

/// Whether a policy can decide for this type; says so if it cannot.
fn suits(policy: &str, at: At, scope: Scope<'_>, problems: &mut Problems<'_>) -> bool {
    use FieldType::{Bool, Date, Datetime, Decimal, Enum, Integer, Json, Set, String, Text};
    let Some(ty) = scope.ty else {
        let general = matches!(policy, "last_writer_wins" | "first_writer_wins" | "prefer" | "manual");
        if !general {
            problems.add(at, format!("`{policy}` depends on a field's type: put it at the fields it is for"));
        }
        return general;
    };
    let (suits, needs) = match policy {
        "max" | "min" => (
            matches!(ty, Integer | Decimal | Date | Datetime | String),
            "an integer, decimal, date, datetime or string",
        ),
        "union" | "add_wins" | "remove_wins" => (matches!(ty, Set(_)), "a set"),
        "counter" => (matches!(ty, Integer), "an integer"),
        "merge_text" => (matches!(ty, Text | String), "a text or string"),
        "precedence" => (!matches!(ty, Json | Set(_)), "a type with single values"),
        _ => (true, ""),
    };
    if !suits {
        let message = format!("`{policy}` needs {needs}, {} is {}", scope.what, type_name(ty));
        let hint =
            matches!((policy, ty), ("max" | "min", Enum(_) | Bool)).then(|| "use `precedence`".to_owned());
        problems.push(at, message, hint);
    }
    suits
}

/// A type as the config names it.
pub(crate) fn type_name(ty: &FieldType) -> &'static str {
    match ty {
        FieldType::String => "string",
        FieldType::Text => "text",
        FieldType::Integer => "integer",
        FieldType::Decimal => "decimal",
        FieldType::Bool => "bool",
        FieldType::Date => "date",
        FieldType::Datetime => "datetime",
        FieldType::Enum(_) => "enum",
        FieldType::Set(_) => "set",
        FieldType::Json => "json",
        FieldType::Object(_) => "object",
    }
}

/// A side by name; it must be one of the collection's.
pub(crate) fn side(
    node: &Node,
    what: &str,
    sides: &[SideName],
    problems: &mut Problems<'_>,
) -> Option<SideName> {
    let name = section::text(node, what, problems)?;
    let known = sides.iter().find(|side| side.as_str() == name);
    if known.is_none() {
        let message = format!("{what}: no side of this collection is called {}", node.describe());
        problems.add_hint(node.at, message, nearest(name, sides.iter().map(SideName::as_str)));
    }
    known.cloned()
}

fn sides(
    args: Option<&Node>,
    at: At,
    scope: Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<Vec<SideName>> {
    let what = format!("`prefer` of {}", scope.what);
    let Some(args) = args else {
        problems.add(at, format!("{what} needs the sides, the preferred first: {{ prefer: [a, b] }}"));
        return None;
    };
    let nodes = match &args.kind {
        Kind::Text(_) => std::slice::from_ref(args),
        _ => section::list(args, &what, problems)?,
    };
    let mut found = Vec::new();
    for node in nodes {
        let side = side(node, &what, scope.sides, problems)?;
        if found.contains(&side) {
            problems.add(node.at, format!("{what} names `{side}` twice"));
        }
        found.push(side);
    }
    if found.is_empty() {
        problems.add(args.at, format!("{what} names no side"));
    }
    (!found.is_empty()).then_some(found)
}

fn precedence(
    args: Option<&Node>,
    at: At,
    scope: Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<Vec<Value>> {
    let Some(args) = args else {
        problems.add(
            at,
            format!(
                "`precedence` of {} needs the values, the strongest first: {{ precedence: [a, b] }}",
                scope.what
            ),
        );
        return None;
    };
    values(args, "`precedence`", scope, problems)
}

fn expression(
    args: Option<&Node>,
    at: At,
    scope: Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<Expression> {
    let what = format!("`expression` of {}", scope.what);
    let Some(args) = args else {
        let hint = "{ expression: \"siblings | map(attribute='value') | max\" }";
        problems.add_hint(at, format!("{what} needs the expression"), hint);
        return None;
    };
    if scope.ty.is_none() {
        suits("expression", at, scope, problems);
        return None;
    }
    expressions::of_siblings(args, &what, scope, problems)
}

/// A list of values of the field's type, none twice.
pub(crate) fn values(
    node: &Node,
    what: &str,
    scope: Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<Vec<Value>> {
    let ty = scope.ty?;
    let what = format!("{what} of {}", scope.what);
    let nodes = section::list(node, &what, problems)?;
    let before = problems.count();
    let mut found = Vec::new();
    for node in nodes {
        let Some(value) = value(node, &what, ty, problems) else { continue };
        if found.contains(&value) {
            problems.add(node.at, format!("{what} names `{value}` twice"));
        }
        found.push(value);
    }
    if nodes.is_empty() {
        problems.add(node.at, format!("{what} names no value"));
    }
    (problems.count() == before).then_some(found)
}

fn value(node: &Node, what: &str, ty: &FieldType, problems: &mut Problems<'_>) -> Option<Value> {
    let text = match &node.kind {
        Kind::Text(text) => text.clone(),
        Kind::Number(number) => number.to_string(),
        Kind::Bool(b) => b.to_string(),
        _ => {
            section::text(node, what, problems)?;
            return None;
        }
    };
    match from_text(ty, &text) {
        Ok(value) => Some(value),
        Err(why) => {
            let message =
                format!("{what}: {} is no value of this field: expected {}", node.describe(), why.expected);
            let hint = match ty {
                FieldType::Enum(allowed) => Some(nearest(&text, allowed.iter().map(|a| &**a))),
                _ => None,
            };
            problems.push(node.at, message, hint);
            None
        }
    }
}

/// Reads `owner:`: a side, or a side with `unless_blank`.
pub(crate) fn owner(node: &Node, scope: Scope<'_>, problems: &mut Problems<'_>) -> Option<Owner> {
    let what = format!("`owner` of {}", scope.what);
    if !matches!(node.kind, Kind::Map(_)) {
        return Some(Owner { side: side(node, &what, scope.sides, problems)?, unless_blank: false });
    }
    let mut map = Section::open(node, what.clone(), problems)?;
    let owner = map.require("side", problems).and_then(|node| side(node, &what, scope.sides, problems));
    let unless_blank =
        map.take("unless_blank", problems).map(|node| section::yes_no(node, "`unless_blank`", problems));
    map.finish(problems);
    Some(Owner { side: owner?, unless_blank: unless_blank.unwrap_or(Some(false))? })
}
