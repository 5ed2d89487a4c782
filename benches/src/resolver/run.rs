//! One library through the whole work.

use crate::resolver::work::{Order, Work};
use std::time::{Duration, Instant};

/// A library that merges.
pub trait Library {
    /// One record of one replica.
    type Doc;

    /// Its name.
    fn name(&self) -> &'static str;
    /// Each edit as one message, in the order of the work.
    fn messages(&self, work: &Work) -> anyhow::Result<Vec<Vec<u8>>>;
    /// A record that nobody has edited.
    fn doc(&self) -> Self::Doc;
    /// Takes one message in.
    fn take(&self, doc: &mut Self::Doc, message: &[u8]) -> anyhow::Result<()>;
    /// Takes all messages of a record in, the way it likes best.
    fn take_all(&self, doc: &mut Self::Doc, messages: &[&[u8]]) -> anyhow::Result<()> {
        messages.iter().try_for_each(|message| self.take(doc, message))
    }
    /// Reads the value of each field, as an application would: bytes of all of them.
    fn read(&self, doc: &Self::Doc) -> usize;
    /// The record's state, encoded as small as the library can.
    fn encoded(&self, doc: &Self::Doc) -> anyhow::Result<Vec<u8>>;
    /// Whether two replicas have the same.
    fn same(&self, one: &Self::Doc, other: &Self::Doc) -> bool;
}

/// How messages are handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Each by itself, records in turn as they come.
    OneByOne,
    /// All of a record at once.
    Batched,
}

/// What came of one run.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Edits a second, both replicas together.
    pub rate: f64,
    /// The same, if then every record is read once and that counts too.
    pub rate_read: f64,
    /// Whether the replicas came to the same.
    pub converged: bool,
    /// Bytes of a record, on average.
    pub bytes: f64,
}

/// A library with its messages, whatever its records are.
pub trait Contest {
    /// The library's name.
    fn name(&self) -> &'static str;
    /// Two new replicas take everything in, each in its order.
    fn run(&self, work: &Work, orders: [Order; 2], style: Style) -> anyhow::Result<Run>;
}

impl<L: Library> Contest for (L, Vec<Vec<u8>>) {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn run(&self, work: &Work, [one, other]: [Order; 2], style: Style) -> anyhow::Result<Run> {
        let (library, messages) = self;
        let (one, took_one) = replica(library, work, messages, &work.order(one), style)?;
        let (other, took_other) = replica(library, work, messages, &work.order(other), style)?;
        let began = Instant::now();
        let read: usize = one.iter().chain(&other).map(|doc| library.read(doc)).sum();
        let reading = began.elapsed();
        anyhow::ensure!(read > 0, "{}: nothing could be read", library.name());
        let converged = one.iter().zip(&other).all(|(one, other)| library.same(one, other));
        let sizes = one.iter().map(|doc| library.encoded(doc).map(|bytes| bytes.len()));
        let bytes: usize = sizes.sum::<anyhow::Result<usize>>()?;
        let rate = |took: Duration| count(work.edits.len() * 2) / took.as_secs_f64();
        let took = took_one + took_other;
        let (rate, rate_read) = (rate(took), rate(took + reading));
        Ok(Run { rate, rate_read, converged, bytes: count(bytes) / count(work.records) })
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn count(n: usize) -> f64 {
    n as f64
}

/// One replica: its records, and how long taking everything in took.
fn replica<L: Library>(
    library: &L,
    work: &Work,
    messages: &[Vec<u8>],
    order: &[usize],
    style: Style,
) -> anyhow::Result<(Vec<L::Doc>, Duration)> {
    let mut docs: Vec<L::Doc> = (0..work.records).map(|_| library.doc()).collect();
    let arriving =
        order.iter().filter_map(|place| Some((work.edits.get(*place)?.record, messages.get(*place)?)));
    match style {
        Style::OneByOne => {
            let arriving = Arriving::of(arriving);
            let began = Instant::now();
            for (record, message) in arriving.iter() {
                if let Some(doc) = docs.get_mut(record) {
                    library.take(doc, message)?;
                }
            }
            Ok((docs, began.elapsed()))
        }
        Style::Batched => {
            let mut sorted: Vec<_> = arriving.collect();
            sorted.sort_by_key(|(record, _)| *record);
            let arriving = Arriving::of(sorted);
            let mut arriving = arriving.iter().peekable();
            let mut pile: Vec<&[u8]> = Vec::new();
            let began = Instant::now();
            for (record, doc) in docs.iter_mut().enumerate() {
                pile.clear();
                while let Some((_, message)) = arriving.next_if(|(of, _)| *of == record) {
                    pile.push(message);
                }
                library.take_all(doc, &pile)?;
            }
            Ok((docs, began.elapsed()))
        }
    }
}

/// Messages one behind the other in memory, as they come from a file or a socket.
struct Arriving {
    bytes: Vec<u8>,
    /// For each its record and its length.
    each: Vec<(usize, usize)>,
}

impl Arriving {
    fn of<'a>(messages: impl IntoIterator<Item = (usize, &'a Vec<u8>)>) -> Self {
        let mut all = Self { bytes: Vec::new(), each: Vec::new() };
        for (record, message) in messages {
            all.bytes.extend_from_slice(message);
            all.each.push((record, message.len()));
        }
        all
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.each.iter().filter_map(move |(record, len)| {
            let (message, behind) = rest.split_at_checked(*len)?;
            rest = behind;
            Some((*record, message))
        })
    }
}
