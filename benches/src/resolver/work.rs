//! The edits: records, fields, three actors that never see each other, and the orders
//! in which replicas get them.

use fastrand::Rng;

/// Who edits.
pub(crate) const ACTORS: [&str; 3] = ["clerk", "marshal", "register"];

/// What records are made of.
pub(crate) const FIELDS: [&str; 10] =
    ["address", "district", "expires", "fee", "inspector", "notes", "phone", "status", "title", "zone"];

/// One edit: an actor puts a value into a field of a record.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Which record.
    pub record: usize,
    /// Whose edit, by place in [`ACTORS`].
    pub actor: usize,
    /// Which field, by place in [`FIELDS`].
    pub field: usize,
    /// The value.
    pub value: String,
    /// When, in microseconds.
    pub at: i64,
    /// When its side was read before, which it is every five seconds.
    pub read: i64,
}

/// All edits, in the order in which they are made.
#[derive(Debug)]
pub struct Work {
    /// How many records there are.
    pub records: usize,
    /// The edits.
    pub edits: Vec<Spec>,
}

/// In what order a replica gets the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Each actor's own order is kept; how they come between each other is drawn.
    Interleaved(u64),
    /// Any order.
    Random(u64),
}

impl Work {
    /// So many edits for each of so many records.
    pub fn new(records: usize, each: usize) -> Self {
        let mut rng = Rng::with_seed(42);
        let mut at = 1_760_000_000_000_000;
        let edits = (0..records * each).map(|_| {
            // Sides that say when, to the millisecond; two hundred thousand edits in an hour.
            at += rng.i64(1..36) * 1_000;
            Spec {
                record: rng.usize(0..records),
                actor: rng.usize(0..ACTORS.len()),
                field: rng.usize(0..FIELDS.len()),
                value: format!("value {}", rng.u32(0..100_000)),
                at,
                read: at - at % 5_000_000,
            }
        });
        Self { records, edits: edits.collect() }
    }

    /// Places of edits in the order in which a replica gets them.
    pub fn order(&self, order: Order) -> Vec<usize> {
        match order {
            Order::Random(seed) => {
                let mut all: Vec<usize> = (0..self.edits.len()).collect();
                Rng::with_seed(seed).shuffle(&mut all);
                all
            }
            Order::Interleaved(seed) => self.interleaved(&mut Rng::with_seed(seed)),
        }
    }

    fn interleaved(&self, rng: &mut Rng) -> Vec<usize> {
        let of = |actor: usize| {
            let own = self.edits.iter().enumerate().filter(move |(_, edit)| edit.actor == actor);
            own.map(|(place, _)| place).collect::<Vec<_>>().into_iter()
        };
        let mut queues: Vec<_> = (0..ACTORS.len()).map(of).collect();
        let mut order = Vec::with_capacity(self.edits.len());
        while !queues.is_empty() {
            let turn = rng.usize(0..queues.len());
            match queues.get_mut(turn).and_then(Iterator::next) {
                Some(place) => order.push(place),
                None => drop(queues.swap_remove(turn)),
            }
        }
        order
    }
}
