//! Checking an export, one line after the other, and naming the first that is wrong.
//!
//! The order of the checks is the order of trust: the checkpoint by the key that was
//! given, each entry by its hash and its way into the tree, and only then what entries say
//! of each other. A link to an earlier event counts only where both are proven entries of
//! the tree (CVE-2022-36111 was a link without a leaf).
//!
//! What never happens here: holding more than the entries of a few batches, or going on
//! after a wrong one.

mod entry;
mod batch;
mod ahead;
mod links;

use self::ahead::{Ahead, Queue};
use self::batch::{Ending, parse};
use self::entry::{Looked, Proven, record_hash};
use self::links::Links;
use crate::error::{AuditError, BadLine, Problem};
use crate::form::{Consistency, End, FORMAT, Header, Line, Range, Scope};
use crate::given::{Given, Older};
use crate::lines::{Read, read_line};
use crate::report::{Report, Witnessed};
use hms_sync_proof::{ConsistencyProof, Frontier, ManyVerifier, TreeHash, TreeHead, Trust, VerifierKey};
use std::io::{self, BufRead};
use std::thread;

/// Entries between two reports of progress.
const PROGRESS_EVERY: u64 = 4_096;

/// Checks exports.
#[derive(Debug, Clone, Default)]
pub struct Auditor {
    given: Given,
    record: Option<String>,
}

impl Auditor {
    /// One who knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A key of the log, from elsewhere. Several, if it has changed its key.
    pub fn key(&mut self, key: VerifierKey) {
        self.given.keys.push(key);
    }

    /// The key of a witness who is believed.
    pub fn witness(&mut self, key: VerifierKey) {
        self.given.witnesses.push(key);
    }

    /// A checkpoint from earlier, a signed note, and what to call it.
    pub fn older(&mut self, label: impl Into<String>, note: impl Into<Vec<u8>>) {
        self.given.older.push((label.into(), note.into()));
    }

    /// The export is to be the whole history of this record, and nothing else will do.
    pub fn whole_history_of(&mut self, record: impl Into<String>) {
        self.record = Some(record.into());
    }

    /// Checks an export. `progress` is told now and then how many entries were looked at.
    ///
    /// # Errors
    /// [`AuditError::Bad`] with the first line that is not as it was written.
    pub fn verify(&self, input: impl BufRead, progress: impl FnMut(u64)) -> Result<Report, AuditError> {
        let mut lines = Lines { input, line: Vec::new(), number: 0 };
        let check = self.begin(&mut lines)?;
        let queue = Queue::default();
        thread::scope(|scope| {
            let ahead = Ahead::new(lines.input, scope, &queue);
            check.all(ahead, lines.number, progress)
        })
    }

    /// The first two lines.
    fn begin<R: BufRead>(&self, lines: &mut Lines<R>) -> Result<Check, AuditError> {
        lines.next()?;
        let header = match lines.parse()? {
            Line::Export(header) => header,
            other => return Err(lines.at()(out_of_place(&other, "the export's head")).into()),
        };
        if header.format != FORMAT {
            return Err(lines.at()(Problem::Format { found: header.format }).into());
        }
        let whole = self.record.as_ref().is_none_or(|r| header.scope == Scope::Record(r.clone()));
        if let (false, Some(expected)) = (whole, self.record.clone()) {
            return Err(lines.at()(Problem::OtherScope { expected }).into());
        }
        let given = self.given.trust()?;
        let proven = given.is_some();
        let trust = match given {
            Some(trust) => trust,
            None => self.trust_itself(&header).map_err(|what| what.or_at(lines))?,
        };
        if let Some(key) = self.given.keys.first().filter(|key| key.name().as_str() != header.origin) {
            let (expected, found) = (key.name().to_string(), header.origin);
            return Err(lines.at()(Problem::OtherLog { expected, found }).into());
        }
        lines.next()?;
        let note = match lines.parse()? {
            Line::Checkpoint(note) => note,
            other => return Err(lines.at()(out_of_place(&other, "the checkpoint")).into()),
        };
        let older = self.given.open_older(&trust)?;
        Check::new(trust, proven, header, &note, older).map_err(|what| lines.at()(what).into())
    }

    /// The keys that the export names, for want of better ones.
    fn trust_itself(&self, header: &Header) -> Result<Trust, Untrusted> {
        let no_key = |why: String| Untrusted::Here(Problem::NoKey { why });
        let keys = header.keys.iter().map(|key| key.parse::<VerifierKey>());
        let keys = keys.collect::<Result<Vec<_>, _>>().map_err(|why| no_key(why.to_string()))?;
        self.given.trust_in(&header.origin, &keys).map_err(Untrusted::Given)
    }
}

/// Why nobody can be believed.
enum Untrusted {
    Here(Problem),
    Given(AuditError),
}

impl Untrusted {
    fn or_at<R: BufRead>(self, lines: &Lines<R>) -> AuditError {
        match self {
            Self::Here(what) => lines.at()(what).into(),
            Self::Given(why) => why,
        }
    }
}

impl From<BadLine> for AuditError {
    fn from(bad: BadLine) -> Self {
        Self::Bad(Box::new(bad))
    }
}

fn out_of_place(line: &Line<'_>, expected: &'static str) -> Problem {
    Problem::OutOfPlace { found: line.name(), expected }
}

/// What is wrong at the entry `seq`, with its name; of one that is missing, its own number.
fn named(number: u64, what: Wrong, seq: u64, line: &[u8]) -> AuditError {
    let (seq, record, what) = match what {
        Wrong::Missing(seq) => (Some(seq), None, Problem::Missing),
        Wrong::Beside(what) => (None, None, what),
        Wrong::This(what) => match parse(line) {
            Ok(Line::Entry(entry)) => (Some(seq), Some(entry.record.into_owned()), what),
            _ => (Some(seq), None, what),
        },
    };
    BadLine { line: number, seq, record, what }.into()
}

/// Names a line.
fn at(line: u64) -> impl Fn(Problem) -> BadLine {
    move |what| BadLine { line, seq: None, record: None, what }
}

/// What a line says, or that it says nothing.
fn parsed(line: &[u8], number: u64) -> Result<Line<'_>, AuditError> {
    Ok(parse(line).map_err(|why| at(number)(Problem::NotALine { why: why.to_string() }))?)
}

/// What is wrong at an entry.
enum Wrong {
    /// With itself.
    This(Problem),
    /// One before it is not there.
    Missing(u64),
    /// With something else that is seen here.
    Beside(Problem),
}

impl From<Problem> for Wrong {
    fn from(what: Problem) -> Self {
        Self::This(what)
    }
}

/// The first lines of an export, counted.
struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// The next line, which must be there.
    fn next(&mut self) -> Result<(), AuditError> {
        self.line.clear();
        self.number = self.number.saturating_add(1);
        match read_line(&mut self.input, &mut self.line) {
            Ok(Read::Line) => Ok(()),
            Ok(Read::End | Read::Cut) => Err(self.at()(Problem::Cut).into()),
            Ok(Read::TooLong) => Err(self.at()(Problem::TooLong).into()),
            Err(source) => Err(AuditError::Read { source }),
        }
    }

    fn parse(&self) -> Result<Line<'_>, AuditError> {
        parsed(&self.line, self.number)
    }

    /// Names this line.
    fn at(&self) -> impl Fn(Problem) -> BadLine + use<R> {
        at(self.number)
    }
}

/// Which part of an export is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// What comes before what the log says of the record, if anything.
    Entries,
    /// The log has said which event is the record's last.
    Head,
    /// The last line has come.
    End,
}

/// A verification under way.
struct Check {
    trust: Trust,
    proven: bool,
    scope: Scope,
    head: TreeHead,
    witnesses: Vec<Witnessed>,
    older: Vec<Older>,
    tree: ManyVerifier,
    /// Made anew where all entries are there and an older checkpoint is to be compared.
    made: Option<Frontier>,
    links: Links,
    entries: u64,
    first: Option<u64>,
    last: Option<Proven>,
    contiguous: bool,
    come_to: Part,
    /// The record whose history this is, as [`record_hash`] has it.
    only: Option<[u8; 32]>,
    origin: String,
}

impl Check {
    fn new(
        trust: Trust,
        proven: bool,
        header: Header,
        note: &str,
        mut older: Vec<Older>,
    ) -> Result<Self, Problem> {
        let opened = trust.open(note.as_bytes()).map_err(Problem::Checkpoint)?;
        let head = *opened.checkpoint().head();
        older.iter_mut().try_for_each(|older| older.begin(&head))?;
        let witnesses = opened.witnesses().iter();
        let witnesses =
            witnesses.map(|said| Witnessed { name: said.key.name().to_string(), time: said.time });
        let remakes = header.scope == Scope::Whole && older.iter().any(|older| !older.fits);
        Ok(Self {
            witnesses: witnesses.collect(),
            proven,
            tree: ManyVerifier::new(head).map_err(Problem::NotInTree)?,
            made: remakes.then(Frontier::new),
            links: Links::new(),
            only: if let Scope::Record(record) = &header.scope { Some(record_hash(record)) } else { None },
            scope: header.scope,
            origin: header.origin,
            trust,
            head,
            older,
            entries: 0,
            first: None,
            last: None,
            contiguous: true,
            come_to: Part::Entries,
        })
    }

    /// All lines from the one after `number` on.
    fn all<R: BufRead>(
        mut self,
        mut ahead: Ahead<'_, '_, R>,
        mut number: u64,
        mut progress: impl FnMut(u64),
    ) -> Result<Report, AuditError> {
        while let Some(mut batch) = ahead.next() {
            for (line, looked) in batch.lines() {
                number = number.saturating_add(1);
                self.line(number, line, looked, &mut progress)?;
            }
            if let Some(ending) = &mut batch.ending {
                self.ended(number.saturating_add(1), ending)?;
                progress(self.entries);
                return Ok(self.report());
            }
            ahead.put_back(batch);
        }
        let source = io::Error::other("a thread that looks at entries has died");
        Err(AuditError::Read { source })
    }

    fn line(
        &mut self,
        number: u64,
        line: &[u8],
        looked: Option<Looked>,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), AuditError> {
        let at = at(number);
        if self.come_to == Part::End {
            return Err(at(Problem::AfterEnd).into());
        }
        if let Some(looked) = looked.filter(|_| self.come_to == Part::Entries) {
            let seq = looked.seq;
            self.entry(looked).map_err(|what| named(number, what, seq, line))?;
            if self.entries.is_multiple_of(PROGRESS_EVERY) {
                progress(self.entries);
            }
            return Ok(());
        }
        match parsed(line, number)? {
            Line::Consistency(proof) if self.entries == 0 => self.consistency(&proof).map_err(at)?,
            Line::RecordHead(note) if self.come_to == Part::Entries => self.record_head(&note).map_err(at)?,
            Line::End(end) => {
                self.end(&end).map_err(at)?;
                self.come_to = Part::End;
            }
            other => return Err(at(out_of_place(&other, "an entry")).into()),
        }
        Ok(())
    }

    /// What is wrong with the place where it ends.
    fn ended(&self, number: u64, ending: &mut Ending) -> Result<(), AuditError> {
        let what = match ending {
            Ending::End if self.come_to == Part::End => return Ok(()),
            Ending::End | Ending::Cut => Problem::Cut,
            Ending::TooLong => Problem::TooLong,
            Ending::Failed(why) => {
                let source = std::mem::replace(why, io::ErrorKind::Other.into());
                return Err(AuditError::Read { source });
            }
        };
        Err(at(number)(what).into())
    }

    fn consistency(&mut self, line: &Consistency) -> Result<(), Problem> {
        let hashes = line.proof.iter().map(|hash| hash.parse::<TreeHash>());
        let path = hashes.collect::<Result<Vec<_>, _>>().map_err(|_| Problem::NoHash)?;
        let proof = ConsistencyProof { path };
        let head = self.head;
        let about = self.older.iter_mut().filter(|older| older.head.size == line.older);
        about.filter(|older| !older.fits).try_for_each(|older| older.prove(&proof, &head))
    }

    fn entry(&mut self, looked: Looked) -> Result<(), Wrong> {
        self.in_order(looked.seq)?;
        let proven = looked.prove(&mut self.tree)?;
        self.in_scope(&proven)?;
        self.links.follow(&proven, &self.scope)?;
        self.compare_older(&proven).map_err(Wrong::Beside)?;
        self.entries += 1;
        self.first = self.first.or(Some(proven.seq));
        self.last = Some(proven);
        Ok(())
    }

    fn in_order(&mut self, seq: u64) -> Result<(), Wrong> {
        let before = self.last.as_ref().map_or(0, |last| last.seq);
        let next = before.saturating_add(1);
        if seq < next {
            return Err(Problem::Order { after: before }.into());
        }
        if seq > next && self.scope == Scope::Whole {
            return Err(Wrong::Missing(next));
        }
        if let Scope::Range(Range { first, .. }) = self.scope
            && seq > next.max(first)
        {
            return Err(Wrong::Missing(next.max(first)));
        }
        self.contiguous &= seq == next || self.last.is_none();
        Ok(())
    }

    fn in_scope(&self, proven: &Proven) -> Result<(), Problem> {
        match &self.scope {
            Scope::Record(record) if self.only != Some(proven.record) => {
                Err(Problem::OtherRecord { expected: record.clone() })
            }
            Scope::Range(range) if !(range.first..=range.last).contains(&proven.seq) => {
                Err(Problem::OutOfRange { first: range.first, last: range.last })
            }
            Scope::Record(_) | Scope::Whole | Scope::Range(_) | Scope::Part(_) => Ok(()),
        }
    }

    fn compare_older(&mut self, proven: &Proven) -> Result<(), Problem> {
        let Some(made) = &mut self.made else { return Ok(()) };
        made.append(TreeHash::leaf(&proven.id)).map_err(Problem::NotInTree)?;
        let size = made.size();
        let mut here = self.older.iter_mut().filter(|older| older.head.size == size && !older.fits);
        here.try_for_each(|older| older.compare(made.head()))
    }

    fn record_head(&mut self, note: &str) -> Result<(), Problem> {
        let Scope::Record(record) = &self.scope else {
            return Err(Problem::OutOfPlace { found: "record_head", expected: "the end" });
        };
        let said = self.trust.open_record(note.as_bytes()).map_err(Problem::RecordHead)?;
        let last = self.last.as_ref();
        let shown = last.map_or_else(|| "no event".to_owned(), |last| format!("{} events", last.version));
        if said.record != *record || said.tree != self.head {
            let said = format!("{} (at {} entries)", said.record, said.tree.size);
            return Err(Problem::RecordEnd { said, shown: format!("{record} (at {})", self.head.size) });
        }
        let same = last.is_some_and(|last| last.version == said.version && last.id == said.event);
        if !same {
            return Err(Problem::RecordEnd { said: format!("{} events", said.version), shown });
        }
        self.come_to = Part::Head;
        Ok(())
    }

    fn end(&self, end: &End) -> Result<(), Problem> {
        let last = self.last.as_ref().map_or(0, |last| last.seq);
        if self.scope == Scope::Whole && last != self.head.size {
            return Err(Problem::Count { stated: self.head.size, found: last });
        }
        if let Scope::Range(range) = self.scope
            && last != range.last
        {
            return Err(Problem::Count { stated: range.last, found: last });
        }
        if matches!(self.scope, Scope::Record(_)) && self.come_to != Part::Head {
            return Err(Problem::OutOfPlace { found: "end", expected: "what the log says of the record" });
        }
        if end.entries != self.entries {
            return Err(Problem::Count { stated: end.entries, found: self.entries });
        }
        self.older.iter().try_for_each(Older::end)
    }

    fn report(self) -> Report {
        Report {
            origin: self.origin,
            proven: self.proven,
            scope: self.scope,
            size: self.head.size,
            root: self.head.root.to_string(),
            entries: self.entries,
            first: self.first,
            last: self.last.map(|last| last.seq),
            contiguous: self.contiguous,
            older: self.older.iter().map(|older| older.head.size).collect(),
            witnesses: self.witnesses,
        }
    }
}
