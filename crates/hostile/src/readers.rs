//! A reader, shown its cases: as many as were asked for, on two threads with the small stack
//! that a task of the runtime has.

use crate::cases::Cases;
use crate::minijinja;
use crate::room::Room;
use crate::watch::{Place, Watch};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How many cases a reader sees unless it is too slow for that.
const CASES: u64 = 1_000_000;
/// Who reads beside one another.
const THREADS: u64 = 2;
/// As the tasks have in which answers are read.
const STACK_BYTES: usize = 2 << 20;
/// So much of a case is shown.
const SHOWN_MAX: usize = 2_000;
/// The longest that one case may take.
const PATIENCE: Duration = Duration::from_millis(100);
/// After so many cases a thread looks how much room they made: looking takes longer than a case.
const LOOK_EVERY: u64 = 1_024;
/// How often one that took longer is tried again before it counts: the machine may have been away.
const TRIES: usize = 3;

/// What reads text or bytes from outside, and what it is shown.
#[derive(Debug, Clone)]
pub struct Reader {
    name: String,
    cases: Cases,
    count: u64,
    seed: u64,
    only: Option<u64>,
    patience: Duration,
    /// Cases with this are not shown.
    without: Option<&'static str>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Report {
    /// How many cases were read.
    pub cases: u64,
    /// How many of them were found sound.
    pub taken: u64,
    /// How long all took.
    pub took: Duration,
    /// The one that took longest, and how long.
    pub slowest: (u64, Duration),
}

/// What one of the threads came to.
struct Part {
    cases: u64,
    taken: u64,
    slowest: (u64, Duration),
}

impl Reader {
    /// `name` is what stands in the report.
    pub fn new(name: &str) -> Self {
        let setting = |name: &str| std::env::var(format!("HMS_SYNC_HOSTILE_{name}")).ok();
        let number = |name: &str| setting(name).and_then(|text| text.parse().ok());
        let case = setting("CASE");
        let case = case.as_deref().and_then(|text| text.split_once(':'));
        Self {
            name: name.to_owned(),
            cases: Cases::default(),
            count: number("CASES").unwrap_or(CASES),
            seed: case.and_then(|(seed, _)| seed.parse().ok()).or_else(|| number("SEED")).unwrap_or(7),
            only: case.and_then(|(_, number)| number.parse().ok()),
            patience: PATIENCE,
            without: None,
        }
    }

    /// Inputs that the reader takes: cases are made from these.
    #[must_use]
    pub fn sound<T: AsRef<[u8]>>(mut self, inputs: impl IntoIterator<Item = T>) -> Self {
        inputs.into_iter().for_each(|input| self.cases.add_sound(input.as_ref()));
        self
    }

    /// What the format is written with: signs, names, beginnings and ends.
    #[must_use]
    pub fn words<T: AsRef<[u8]>>(mut self, words: impl IntoIterator<Item = T>) -> Self {
        words.into_iter().for_each(|word| self.cases.add_word(word.as_ref()));
        self
    }

    /// The words of minijinja's expressions, for what reads these or templates of it as text.
    #[must_use]
    pub fn minijinja(mut self) -> Self {
        self.without = Some(minijinja::STEP);
        self.words(minijinja::WORDS)
    }

    /// Of a slow reader, how many cases are enough in the ordinary run. `HMS_SYNC_HOSTILE_CASES`
    /// overrules it.
    #[must_use]
    pub fn fewer(mut self, count: u64) -> Self {
        if std::env::var_os("HMS_SYNC_HOSTILE_CASES").is_none() {
            self.count = count;
        }
        self
    }

    /// Of one that is so slow that more would take hours, whatever was asked for.
    #[must_use]
    pub fn at_most(mut self, count: u64) -> Self {
        self.count = self.count.min(count);
        self
    }

    /// With other cases than usual.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// One case may take so long.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Shows the cases to what reads text, which says whether it took one.
    ///
    /// # Panics
    /// With the case and its number, if reading one panics or takes too long; with the numbers of
    /// some, if one of them makes room for gigabytes; and if the sound inputs are not taken or no
    /// case is refused, as nothing would be tested then.
    pub fn texts(self, read: impl Fn(&str) -> bool + Sync) -> Report {
        let without = self.without;
        self.show(&|bytes| {
            let text = String::from_utf8_lossy(bytes);
            without.is_none_or(|without| !text.contains(without)) && read(&text)
        })
    }

    /// The same for what reads bytes.
    ///
    /// # Panics
    /// As [`texts`](Self::texts).
    pub fn bytes(mut self, read: impl Fn(&[u8]) -> bool + Sync) -> Report {
        self.cases.binary();
        self.show(&read)
    }

    fn show(self, read: &(impl Fn(&[u8]) -> bool + Sync)) -> Report {
        if let Some(number) = self.only {
            return self.alone(number, read);
        }
        for input in self.cases.sound() {
            assert!(read(input), "{}: {} is not taken", self.name, input.escape_ascii());
        }
        let began = Instant::now();
        let parts = self.all(read);
        let report = Report {
            cases: parts.iter().map(|part| part.cases).sum(),
            taken: parts.iter().map(|part| part.taken).sum(),
            took: began.elapsed(),
            slowest: parts.iter().map(|part| part.slowest).max_by_key(|(_, took)| *took).unwrap_or_default(),
        };
        let Report { cases, taken, took, slowest: (slowest, longest) } = report;
        let seed = self.seed;
        say(&format!(
            "{}: {cases} cases, {taken} of them taken, in {:.1} s, the slowest ({seed}:{slowest}) in {longest:.1?}",
            self.name,
            took.as_secs_f64()
        ));
        assert!(
            taken > 0 && taken < cases,
            "{}: {taken} of {cases} cases were taken: that tests nothing",
            self.name
        );
        report
    }

    /// One case by itself, in this thread, for a debugger.
    fn alone(&self, number: u64, read: &impl Fn(&[u8]) -> bool) -> Report {
        let mut input = Vec::new();
        self.cases.write(self.seed, number, &mut input);
        say(&self.told(number, "is"));
        let (began, room) = (Instant::now(), Room::now());
        let taken = read(&input);
        let took = began.elapsed();
        assert!(!room.is_too_much(), "{}", self.told(number, "makes too much room:"));
        Report { cases: 1, taken: taken.into(), took, slowest: (number, took) }
    }

    /// Two threads, each with every second case, and this one that watches them.
    fn all(&self, read: &(impl Fn(&[u8]) -> bool + Sync)) -> Vec<Part> {
        let (watch, (done, ends)) = (Watch::of(THREADS), mpsc::channel());
        thread::scope(|scope| {
            let begin = |(number, (first, place))| {
                let done = done.clone();
                let thread =
                    thread::Builder::new().name(format!("hostile {}", self.name)).stack_size(STACK_BYTES);
                let work = move || {
                    // Also when it panics: whoever waits is told that it is over.
                    let _done = Done(done, number);
                    self.some(first, place, read)
                };
                thread.spawn_scoped(scope, work).unwrap_or_else(|why| panic!("no thread to read in: {why}"))
            };
            let threads: Vec<_> = (0..).zip(watch.places()).enumerate().map(begin).collect();
            drop(done);
            watch.until_done(&ends, |number| self.told(number, "does not end:"));
            let parts = threads.into_iter().zip(watch.places()).map(|(thread, place)| {
                thread.join().unwrap_or_else(|why| match why.downcast::<String>() {
                    Ok(told) if told.starts_with(&self.name) => panic!("{told}"),
                    _ => panic!("{}", self.told(place.number(), "panics:")),
                })
            });
            parts.collect()
        })
    }

    fn some(&self, first: u64, place: &Place, read: &impl Fn(&[u8]) -> bool) -> Part {
        let (mut part, mut input) = (Part { cases: 0, taken: 0, slowest: (0, Duration::ZERO) }, Vec::new());
        let (mut number, room) = (first, Room::now());
        while number < self.count {
            self.cases.write(self.seed, number, &mut input);
            place.at(number);
            let began = Instant::now();
            part.taken += u64::from(read(&input));
            let took = began.elapsed();
            if took > self.patience {
                self.again(number, &input, read);
            }
            if took > part.slowest.1 {
                part.slowest = (number, took);
            }
            part.cases += 1;
            let looks = part.cases.is_multiple_of(LOOK_EVERY) || number + THREADS >= self.count;
            if looks && room.is_too_much() {
                let from = number.saturating_sub(LOOK_EVERY * THREADS);
                panic!(
                    "{}: one of the cases {}:{from} to {number} makes too much room",
                    self.name, self.seed
                );
            }
            number += THREADS;
        }
        part
    }

    /// Whether it is the case that is slow, or the machine.
    fn again(&self, number: u64, input: &[u8], read: &impl Fn(&[u8]) -> bool) {
        let slow = (0..TRIES).all(|_| {
            let (began, had) = (Instant::now(), worked());
            read(input);
            let worked = worked().zip(had).map(|(has, had)| has.saturating_sub(had));
            worked.unwrap_or(began.elapsed()) > self.patience
        });
        assert!(!slow, "{}", self.told(number, "takes too long:"));
    }

    fn told(&self, number: u64, what: &str) -> String {
        let mut input = Vec::new();
        self.cases.write(self.seed, number, &mut input);
        let Self { name, seed, .. } = self;
        format!(
            "{name}: case {seed}:{number} {what} {}\nalone: HMS_SYNC_HOSTILE_CASE={seed}:{number} and the name of the test",
            shown(&input)
        )
    }
}

/// As much of it as somebody reads; all of it comes when the case is run alone in a debugger.
fn shown(input: &[u8]) -> String {
    match input.split_at_checked(SHOWN_MAX) {
        Some((first, _)) => format!("{}… ({} bytes)", first.escape_ascii(), input.len()),
        None => input.escape_ascii().to_string(),
    }
}

/// Says that a thread is over when it is dropped.
struct Done(mpsc::Sender<usize>, usize);

impl Drop for Done {
    fn drop(&mut self) {
        // Who listened may have gone.
        let _gone = self.0.send(self.1);
    }
}

/// How long this thread has been at work, where the system tells: on a machine that has others to
/// serve, more time goes by.
fn worked() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(told.split_whitespace().next()?.parse().ok()?))
}

#[expect(clippy::print_stderr, reason = "it is only tests that say this, and they keep it to themselves")]
fn say(line: &str) {
    eprintln!("{line}");
}
