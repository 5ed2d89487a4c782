//! Laws of locks and owners: what stands before everybody's values, in whatever order it came.

use crate::edit;
use crate::history::{History, actor, field, operator, side, words};
use fastrand::Rng;
use hms_sync_model::{Actor, Author, Edit, Value};
use hms_sync_resolver::{FieldRule, InvalidRules, Owner, Reason, Rules};

/// The record without the counter, from any order, must be the same everywhere.
fn invisible(rng: &mut Rng, history: &History, names: &[&str]) -> u64 {
    let history = history.without_counter();
    let straight = history.fold(&history.edits);
    let shuffled = history.fold(history.any_order(rng));
    let joined = history.fold(history.some(rng)).join(&shuffled);
    let mut stands = 0;
    for name in names.iter().map(|name| field(name)) {
        let decision = straight.decide(&history.rules, &name);
        assert_eq!(shuffled.decide(&history.rules, &name), decision, "{name}");
        assert_eq!(joined.decide(&history.rules, &name), decision, "{name}");
        stands += u64::from(matches!(decision.reason, Reason::Locked | Reason::Owner(_)));
    }
    stands
}

pub(crate) fn sticky_order_invisible(rng: &mut Rng, history: &History) -> u64 {
    invisible(rng, history, &["locked", "status", "since", "by"])
}

/// Once some side reached a locked value, only an operator who had seen it gets
/// it away, whatever else the sides do.
pub(crate) fn sticky_left_only_by_an_operator(rng: &mut Rng, history: &History) -> u64 {
    let record = history.fold(&history.edits);
    if record.decide(&history.rules, &field("locked")).reason != Reason::Locked {
        return 0;
    }
    let value = |record: &hms_sync_resolver::Record| record.value(&history.rules, &field("locked"));
    let now = |actor: Actor, after: &str| Edit {
        dot: hms_sync_model::Dot { n: record.clock.count(&actor) + 1, actor },
        context: record.clock.clone(),
        ..edit(("a", 1), &[], "locked", after, 5_000)
    };
    let mut by_side = record.clone();
    let who = actor(rng.choice(&["a", "b", "c", "d"]).unwrap());
    by_side.apply(&history.rules, &now(who, "w0")).unwrap();
    assert_eq!(value(&by_side), value(&record));
    let mut by_operator = record.clone();
    by_operator.apply(&history.rules, &now(operator(), "w1")).unwrap();
    assert_eq!(value(&by_operator), "w1".into());
    1
}

pub(crate) fn owner_order_invisible(rng: &mut Rng, history: &History) -> u64 {
    invisible(rng, history, &["owned", "phone"])
}

/// Once the owner has said something, others' edits count for nothing; where a
/// blank gives way they fill it.
pub(crate) fn owner_has_the_last_word(_: &mut Rng, history: &History) -> u64 {
    let record = history.fold(&history.edits);
    let counts = |edit: &&Edit| {
        edit.dot.actor.author == Author::Operator || edit.dot.actor.author == Author::Side(side("a"))
    };
    let alone = history.fold(history.edits.iter().filter(counts));
    for name in ["owned", "phone"].map(field) {
        let own = alone.value(&history.rules, &name);
        let said = alone.siblings(&name).iter().any(|s| name == field("owned") || !s.change.after.is_blank());
        if said {
            assert_eq!(record.value(&history.rules, &name), own, "{name}");
        }
    }
    1
}

/// The owner's next edit would undo the lock: such rules are refused.
#[test]
fn owner_and_locks_do_not_go_together() {
    let owner = Some(Owner { side: side("a"), unless_blank: false });
    let rule = FieldRule { owner, locks: words(&["w3"]), ..FieldRule::default() };
    let refused = Rules::builder().field(field("mixed"), rule).build();
    assert_eq!(refused, Err(InvalidRules::OwnedAndLocked(field("mixed"))));
}

/// A locked lead keeps its whole group, also while the side that moved it on
/// goes on editing.
#[test]
fn lock_keeps_the_group_together() {
    let group = hms_sync_resolver::Group {
        name: "standing".into(),
        fields: ["status", "since"].map(field).to_vec(),
        lead: field("status"),
        resolve: Vec::new(),
        locks: words(&["revoked"]),
    };
    let rules = Rules::builder().group(group).build().unwrap();
    let both = |dot: (&str, u64), context: &[(&str, u64)], status: &str, since: i64| {
        let mut made = edit(dot, context, "status", status, since);
        made.changes
            .insert(field("since"), hms_sync_model::Change { before: Value::Absent, after: since.into() });
        made
    };
    let edits = [
        both(("a", 1), &[], "revoked", 10),
        both(("b", 1), &[("a", 1)], "approved", 20),
        both(("b", 2), &[("a", 1), ("b", 1)], "pending", 30),
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let record = crate::history::fold(&rules, order.map(|i| &edits[i]));
        assert_eq!(record.value(&rules, &field("status")), "revoked".into());
        assert_eq!(record.value(&rules, &field("since")), Value::from(10));
    }
}
