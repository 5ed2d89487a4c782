//! Expressions as a policy: they see what they should and nothing else, the order
//! of arrival is invisible to them, and nothing they are makes them run for ever,
//! panic, or put a value into a field that it cannot hold.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "tests may panic, and list what they try"
)]

use hms_sync_hostile::Reader;
use hms_sync_model::{
    Actor, Author, Change, Clock, Date, Decimal, Dot, Edit, FieldName, FieldType, SideName, Stamp, Time,
    Value, VecMap,
};
use hms_sync_resolver::{Expression, FieldRule, Group, Policy, Reason, Record, Rules};
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn field(name: &str) -> FieldName {
    FieldName::try_new(name).unwrap()
}

fn actor(name: &str) -> Actor {
    Actor::side(SideName::try_new(name).unwrap())
}

/// A first edit of one who had seen nothing.
fn edit(by: Actor, after: Value, at: i64) -> Edit {
    let change = Change { before: Value::Absent, after };
    Edit {
        generation: 0,
        dot: Dot { actor: by, n: 1 },
        context: Clock::new(),
        but: VecMap::new(),
        changes: [(field("f"), change)].into_iter().collect(),
        deletes: false,
        stamp: Stamp { low: Time(at), high: Time(at) },
        certain: true,
    }
}

fn policy(source: &str) -> Policy {
    Policy::Expression(Expression::of_siblings(source).unwrap_or_else(|why| panic!("{source}: {why:?}")))
}

fn rules(ty: FieldType, resolve: Vec<Policy>) -> Rules {
    let rule = FieldRule { ty, resolve, ..FieldRule::default() };
    Rules::builder().field(field("f"), rule).build().unwrap()
}

/// What comes of concurrent values, the first of side `a`, and why nothing did if nothing did.
fn resolved(ty: FieldType, source: &str, values: &[Value]) -> (Value, Option<String>) {
    let rules = rules(ty, vec![policy(source)]);
    let mut record = Record::default();
    for (n, value) in values.iter().enumerate() {
        let name = char::from(b'a' + u8::try_from(n).unwrap()).to_string();
        let at = i64::try_from(n).unwrap() * 1_000_000;
        record.apply(&rules, &edit(actor(&name), value.clone(), at)).unwrap();
    }
    let decision = record.decide(&rules, &field("f"));
    assert_eq!(record.value(&rules, &field("f")), decision.value);
    assert_eq!(decision.failed.is_none(), matches!(decision.reason, Reason::Policy(_)), "{decision:?}");
    (decision.value, decision.failed)
}

fn number(text: &str) -> Value {
    Value::Number(Decimal::parse(text).unwrap())
}

#[test]
fn values_of_every_type_go_in_and_come_out() {
    let greatest = "siblings | map(attribute='value') | max";
    let set = |words: &[&str]| Value::set(words.iter().copied().map(Value::from));
    let date = |day| Value::Date(Date(day));
    let time = |at| Value::Datetime(Time(at));
    let words = FieldType::Enum(vec!["x".into(), "y".into()]);
    let json = |text: &str| Value::Json(text.into());
    let long = "123456789012345678901234567890";
    for (ty, source, values, expected) in [
        (FieldType::Integer, greatest, vec![number("9"), number("10")], number("10")),
        (FieldType::Integer, greatest, vec![number(long), number("10")], number(long)),
        (FieldType::Integer, greatest, vec![number("9"), Value::Null], number("9")),
        (FieldType::Decimal, greatest, vec![number("2.5"), number("10.25")], number("10.25")),
        (
            FieldType::Decimal,
            "(siblings[0].value + siblings[1].value) / 2",
            vec![number("1"), number("2")],
            number("1.5"),
        ),
        (
            FieldType::Integer,
            "siblings | map(attribute='value') | sum",
            vec![number("1"), number("2")],
            number("3"),
        ),
        (
            FieldType::String,
            "siblings | map(attribute='value') | join(' / ')",
            vec!["one".into(), "two".into()],
            "one / two".into(),
        ),
        (
            FieldType::String,
            "(siblings | selectattr('side', 'equalto', 'b') | first).value",
            vec!["one".into(), "two".into()],
            "two".into(),
        ),
        (FieldType::Text, "siblings[0].value ~ '\r\n\n'", vec!["one".into(), "two".into()], "one".into()),
        (
            FieldType::Bool,
            "true in siblings | map(attribute='value')",
            vec![Value::Bool(false), Value::Bool(true)],
            Value::Bool(true),
        ),
        (FieldType::Date, greatest, vec![date(20_000), date(-20_000)], date(20_000)),
        (FieldType::Datetime, greatest, vec![time(500_000), time(0)], time(500_000)),
        (
            FieldType::Datetime,
            "siblings | map(attribute='at') | max",
            vec![time(9), time(8)],
            time(1_000_000),
        ),
        (words, "siblings | map(attribute='value') | sort | first", vec!["y".into(), "x".into()], "x".into()),
        (
            FieldType::Set(Box::new(FieldType::String)),
            "siblings[0].value + siblings[1].value",
            vec![set(&["p", "q"]), set(&["q", "r"])],
            set(&["p", "q", "r"]),
        ),
        (
            FieldType::Json,
            "{'both': siblings | map(attribute='value') | list}",
            vec![json("1"), json("{\"k\":[2.5]}")],
            json("{\"both\":[1,{\"k\":[2.5]}]}"),
        ),
        (FieldType::String, "none", vec!["one".into(), Value::Absent], Value::Absent),
        (FieldType::String, "none", vec!["one".into(), Value::Null], Value::Null),
        (
            FieldType::Bool,
            "siblings | selectattr('absent') | list | length == 1",
            vec![Value::Bool(false), Value::Absent],
            Value::Bool(true),
        ),
    ] {
        assert_eq!(resolved(ty, source, &values), (expected, None), "{source} of {values:?}");
    }
}

/// The ends of time are as good as any other: what is chosen is what was there.
#[test]
fn ends_of_time() {
    let all = [i64::MIN, -11_676_096_000_000_000, 0, 253_402_300_799_999_999, i64::MAX];
    let values: Vec<Value> = all.iter().map(|at| Value::Datetime(Time(*at))).collect();
    for n in 0..values.len() {
        let chosen = resolved(FieldType::Datetime, &format!("siblings[{n}].value"), &values);
        let clamped = n == 4;
        assert_eq!(chosen.0, values[if clamped { 3 } else { n }], "{n}");
    }
    let days = [Value::Date(Date(i32::MIN)), Value::Date(Date(i32::MAX))];
    assert_eq!(resolved(FieldType::Date, "siblings[1].value", &days).0, days[1]);
}

#[test]
fn what_cannot_decide_leaves_it_to_the_next_rule() {
    let two = [number("1"), number("2.5")];
    for (ty, source, words) in [
        (FieldType::Integer, "'some text'", "it comes to text, expected a whole number"),
        (FieldType::Integer, "siblings | length / 4", "it comes to a number, expected a whole number"),
        (FieldType::String, "5", "it comes to a number, expected text"),
        (FieldType::Bool, "1", "it comes to a number, expected true or false"),
        (FieldType::Date, "'2026-13-01'", "it comes to text, expected a date"),
        (FieldType::Enum(vec!["a".into()]), "'b'", "it comes to text, expected one of a"),
        (FieldType::Decimal, "siblings[7].value", "undefined value"),
        (FieldType::Decimal, "siblings[0].valeu", "undefined value"),
        (FieldType::Decimal, "1 / 0", "invalid operation"),
        (FieldType::Decimal, "1e300 * 1e300", "its result is no number"),
        (FieldType::Decimal, "siblings | nosuchfilter", "unknown filter"),
        (FieldType::Json, "[1] * 99999999", "invalid operation"),
        (FieldType::Json, "siblings * 99999999 ~ 'x'", "invalid operation"),
        (FieldType::Json, "[[siblings] * 99999999] * 99999999 == 1", "invalid operation"),
        (FieldType::Json, "siblings | batch(9999, siblings) | list", "invalid operation"),
        (FieldType::Json, "{('k' * 600000): 1, ('j' * 600000): 1}", "its result is too large"),
        (FieldType::String, "'x' * 99999999", "engine ran out of fuel"),
        (FieldType::Json, "([1] * 9999999) | list | length", "invalid operation"),
        (FieldType::Json, "([1] * 9999999) | map('string') | join", "invalid operation"),
    ] {
        let began = Instant::now();
        let (value, failed) = resolved(ty, source, &two);
        let failed = failed.unwrap_or_else(|| panic!("{source} came to {value}"));
        assert!(failed.starts_with(words), "{source}: {failed}");
        // The last resort: the later of the two.
        assert_eq!(value, two[1], "{source}");
        assert!(began.elapsed() < Duration::from_secs(2), "{source} took {:?}", began.elapsed());
    }
    let long = [number("0.12345678901234567890123"), number("1")];
    let (value, failed) = resolved(FieldType::Decimal, "siblings[0].value", &long);
    assert_eq!((value, failed.unwrap().as_str()), (number("1"), "a number has more digits than it can hold"));
}

/// What was in a field is in no message: it may be personal.
#[test]
fn no_message_quotes_a_value() {
    for source in
        ["siblings[0].value", "siblings[0].value | int", "-siblings[0].value", "siblings[0].value.x"]
    {
        let values = ["hush-hush".into(), "hush".into()];
        let (_, failed) = resolved(FieldType::Integer, source, &values);
        assert!(!failed.as_ref().unwrap().contains("hush"), "{source}: {failed:?}");
    }
}

#[test]
fn mistakes_have_their_place() {
    let wrong = |source: &str| Expression::of_siblings(source).unwrap_err();
    let why = wrong("siblings\n  | map(attribute='value'");
    assert_eq!((why.line, why.words.as_str()), (2, "syntax error"), "{why:?}");
    let why = wrong("siblings[0].value\n + sibling[1].value");
    assert_eq!((why.line, why.column), (2, 4));
    assert_eq!(why.words, "it names `sibling`; known here: siblings");
    assert_eq!(wrong("range(9)").words, "it names `range`; known here: siblings");
    assert!(wrong("{% for a in siblings %}x{% endfor %}").words.contains("syntax"));
    assert!(wrong(&"(".repeat(2_000)).words.contains("syntax"));
    assert!(wrong(&"1 + ".repeat(2_000)).words.contains("4000 bytes"));
    assert!(wrong("").words.contains("syntax"));
}

/// A group's other fields follow whoever set what the lead comes to.
#[test]
fn a_group_follows_somebody() {
    let members = || vec![field("f"), field("g")];
    let of = |source: &str| {
        let group = Group {
            name: "pair".into(),
            fields: members(),
            lead: field("f"),
            resolve: vec![policy(source), Policy::FirstWriterWins],
            locks: Vec::new(),
        };
        let rule = FieldRule { ty: FieldType::Integer, ..FieldRule::default() };
        Rules::builder().field(field("f"), rule).group(group).build().unwrap()
    };
    let both = |rules: &Rules| {
        let mut record = Record::default();
        for (name, n, at) in [("a", 1, 10), ("b", 2, 20)] {
            let mut edit = edit(actor(name), Value::from(n), at);
            edit.changes.insert(field("g"), Change { before: Value::Absent, after: name.into() });
            record.apply(rules, &edit).unwrap();
        }
        (record.value(rules, &field("f")), record.value(rules, &field("g")))
    };
    let greatest = of("siblings | map(attribute='value') | max");
    assert_eq!(both(&greatest), (Value::from(2), "b".into()));
    // 3 is nobody's: the next rule decides, and the group is whole.
    assert_eq!(both(&of("siblings | map(attribute='value') | sum")), (Value::from(1), "a".into()));
}

/// Ten thousand actors at once are more than any expression has steps for: that is
/// the next rule's, at once, and the same in every order.
#[test]
fn ten_thousand_siblings() {
    let rules = rules(
        FieldType::Integer,
        vec![policy("siblings | map(attribute='value') | sort | sum"), Policy::Max],
    );
    let edits: Vec<Edit> = (0..10_000_u32)
        .map(|n| {
            edit(Actor { author: Author::Operator, epoch: n }, Value::from(i64::from(n % 977)), i64::from(n))
        })
        .collect();
    let began = Instant::now();
    let fold = |edits: &mut dyn Iterator<Item = &Edit>| {
        let mut record = Record::default();
        edits.for_each(|edit| record.apply(&rules, edit).unwrap());
        record
    };
    let (one, two) = (fold(&mut edits.iter()), fold(&mut edits.iter().rev()));
    assert_eq!(one.siblings(&field("f")).len(), 10_000);
    let decision = one.decide(&rules, &field("f"));
    assert_eq!(decision.value, Value::from(976));
    assert_eq!(decision, two.decide(&rules, &field("f")));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-3_i64..4).prop_map(Value::from),
        "[ab]{0,2}".prop_map(|text| Value::from(text.as_str())),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|at| Value::Datetime(Time(at))),
        any::<i32>().prop_map(|day| Value::Date(Date(day))),
        Just(Value::Null),
        Just(Value::Absent),
        "[ab]".prop_map(|text| Value::set([Value::from(text.as_str()), Value::Null])),
        Just(Value::Json("{\"a\":[1,null]}".into())),
        "-?[0-9]{1,40}(\\.[0-9]{1,40})?".prop_map(|text| number(&text)),
    ]
}

fn any_type() -> impl Strategy<Value = FieldType> {
    prop_oneof![
        Just(FieldType::String),
        Just(FieldType::Text),
        Just(FieldType::Integer),
        Just(FieldType::Decimal),
        Just(FieldType::Bool),
        Just(FieldType::Date),
        Just(FieldType::Datetime),
        Just(FieldType::Set(Box::new(FieldType::Integer))),
        Just(FieldType::Json),
    ]
}

/// Anything that might be an expression, mostly sound.
fn source() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("siblings"),
        Just("siblings[0].value"),
        Just("siblings[1].before"),
        Just("siblings | map(attribute='value')"),
        Just("siblings | map(attribute='at') | max"),
        Just("siblings | map(attribute='side') | list"),
        Just("7"),
        Just("-2.5e3"),
        Just("'ab'"),
        Just("none"),
        Just("[1, 'x']"),
        Just("{'a': 1}"),
        Just("99999999999999999999"),
    ]
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, |inner| {
        let filter = prop_oneof![
            Just("max"),
            Just("min"),
            Just("sum"),
            Just("length"),
            Just("first"),
            Just("last"),
            Just("sort"),
            Just("unique | list"),
            Just("join('-')"),
            Just("list"),
            Just("reverse"),
            Just("int"),
            Just("float"),
            Just("abs"),
            Just("round(2)"),
            Just("upper"),
            Just("trim"),
            Just("string"),
            Just("bool"),
            Just("default(1, true)"),
            Just("replace('a', 'bb')"),
            Just("batch(2) | list"),
            Just("slice(3) | list"),
            Just("select | list"),
            Just("format"),
            Just("indent(4)"),
            Just("split('a')"),
            Just("items"),
            Just("groupby('value')"),
            Just("zip([1, 2])"),
            Just("title"),
            Just("center(9)"),
        ];
        let binary = prop_oneof![
            Just("+"),
            Just("-"),
            Just("*"),
            Just("/"),
            Just("//"),
            Just("%"),
            Just("**"),
            Just("~"),
            Just("=="),
            Just("<"),
            Just("in"),
            Just("and"),
            Just("or"),
            Just("is"),
        ];
        prop_oneof![
            (inner.clone(), filter).prop_map(|(of, filter)| format!("({of}) | {filter}")),
            (inner.clone(), binary, inner.clone()).prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a}) if ({b}) else ({c})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a})[{b}]")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    /// Whatever an expression is: no panic, an end soon, a value that the field can hold,
    /// and the same in every order of arrival.
    #[test]
    fn any_expression_is_bounded_and_blind_to_order(
        source in prop_oneof![4 => source(), 1 => "[a-z0-9\\[\\]{}().|+*'% \n-]{0,40}"],
        ty in any_type(),
        values in prop::collection::vec((value(), any::<i64>()), 2..5),
        turn in 0..5_usize,
    ) {
        let Ok(expression) = Expression::of_siblings(&source) else { return Ok(()) };
        let rules = rules(ty.clone(), vec![Policy::Expression(expression)]);
        let mut edits: Vec<Edit> = values
            .iter()
            .zip(["a", "b", "c", "d"])
            .map(|((value, at), name)| edit(actor(name), value.clone(), *at))
            .collect();
        let fold = |edits: &[Edit]| {
            let mut record = Record::default();
            edits.iter().for_each(|edit| record.apply(&rules, edit).unwrap());
            record.decide(&rules, &field("f"))
        };
        let began = Instant::now();
        let decision = fold(&edits);
        prop_assert!(began.elapsed() < Duration::from_secs(5));
        edits.rotate_left(turn % values.len());
        prop_assert_eq!(&fold(&edits), &decision);
        edits.reverse();
        prop_assert_eq!(&fold(&edits), &decision);
        let somebodys = values.iter().any(|(value, _)| *value == decision.value);
        let json = decision.value.to_json();
        prop_assert!(somebodys || hms_sync_mapping::canonical(&ty, &json) == Ok(decision.value), "{}", source);
    }
}

/// Whatever stands in a policy, it comes to a value of the field's type or to words.
#[test]
fn hostile_policies() {
    let given =
        [Value::from("ß,🚒"), Value::from(-7), Value::Null, Value::Datetime(Time(5)), Value::set([1.into()])];
    let names = ["a", "n", "nothing", "at", "all"];
    let with: Vec<(&str, &Value)> = names.into_iter().zip(&given).collect();
    let types =
        [FieldType::String, FieldType::Decimal, FieldType::Json, FieldType::Set(Box::new(FieldType::Json))];
    Reader::new("policies")
        .sound([
            "a | upper ~ '-' ~ n",
            "[n, n * 2.5, -n // 3] | max if nothing is none else all | first",
            "{'k': all, 'l': [a[1:], {}]}",
            "n in [1, -7] and not (at > 3 or a is undefined)",
        ])
        .words(["a", "n", "all", "at", "nothing", "siblings"])
        .minijinja()
        .texts(|text| {
            let _words = Expression::of_siblings(text);
            let Ok(expression) = Expression::compile(text, &names) else { return false };
            let _words = expression.holds(&with);
            types.iter().filter(|ty| expression.value(ty, &with).is_ok()).count() > 0
        });
}
