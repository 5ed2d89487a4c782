//! `import`: a configuration to start from out of what others wrote. Reads one
//! file and writes one, which must not be there; reaches nothing.

use crate::args::{ImportAirbyteArgs, ImportArgs, ImportFrom};
use crate::exit::{Exit, Failure};
use crate::screen::Screen;
use crate::words::count;
use hms_sync_import::{Note, Start};
use serde::Serialize;
use std::io::{Read, Write};
use std::path::Path;

pub(crate) fn import(screen: Screen, options: &ImportArgs) -> Result<(), Failure> {
    match &options.from {
        ImportFrom::Airbyte(options) => airbyte(screen, options),
    }
}

fn airbyte(screen: Screen, options: &ImportAirbyteArgs) -> Result<(), Failure> {
    let file = options.file.display().to_string();
    let text = text_of(&options.file).map_err(|why| Failure::new(Exit::Config, format!("{file}: {why}")))?;
    let name = options.name.clone().unwrap_or_else(|| named(&options.file));
    let start = hms_sync_import::airbyte(&file, &name, &text)
        .map_err(|why| Failure::new(Exit::Config, why.to_string()).hint("nothing was written"))?;
    if options.json {
        screen.json(&Answer::of(&start))?;
    } else {
        match &options.out {
            Some(out) => write(out, &start.yaml)?,
            None => screen.out(start.yaml.trim_end()),
        }
        told(screen, &file, &start);
    }
    let lost = start.notes.iter().filter(|note| note.lost).count();
    if lost == 0 {
        return Ok(());
    }
    let what = format!("{} not taken over", count(lost as u64, "thing is", "things are"));
    Err(Failure::new(Exit::Failed, what)
        .hint("the configuration is written; each is named above with its line"))
}

/// What is to be known beside the configuration, on standard error.
fn told(screen: Screen, file: &str, start: &Start) {
    for note in &start.notes {
        let word = if note.lost { "" } else { "note: " };
        screen.note(&format!("{file}:{}:{}: {word}{note}", note.line, note.column));
    }
    for (variable, what) in &start.variables {
        let what = if what.is_empty() {
            String::new()
        } else {
            format!(": {}", hms_sync_management::one_line(what))
        };
        screen.note(&format!("set {variable}{what}"));
    }
}

/// The text of a file that is not too long to be one.
fn text_of(path: &Path) -> Result<String, String> {
    let most = hms_sync_config::MAX_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|why| format!("cannot be read: {why}"))?;
    file.take(most).read_to_end(&mut bytes).map_err(|why| format!("cannot be read: {why}"))?;
    String::from_utf8(bytes).map_err(|_| "cannot be read: it is not text in UTF-8".to_owned())
}

/// `sentry` for `source-sentry/manifest.yaml`, else as the file is called.
fn named(file: &Path) -> String {
    let of =
        |part: Option<&std::ffi::OsStr>| part.and_then(|text| text.to_str()).unwrap_or_default().to_owned();
    let stem = of(file.file_stem());
    let folder = of(file.parent().and_then(Path::file_name));
    let name = if stem == "manifest" && !folder.is_empty() { folder } else { stem };
    name.strip_prefix("source-").map_or(name.clone(), str::to_owned)
}

/// Writes a file that is not there yet.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let made = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    made.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|why| {
        Failure::new(Exit::Failed, format!("{} cannot be written: {why}", path.display()))
            .hint("name a file that is not there")
    })
}

/// The answer in JSON.
#[derive(Serialize)]
struct Answer<'s> {
    yaml: &'s str,
    notes: Vec<Told<'s>>,
    variables: Vec<Variable<'s>>,
}

#[derive(Serialize)]
struct Told<'s> {
    line: usize,
    column: usize,
    taken_over: bool,
    place: &'s str,
    instead: &'s str,
}

#[derive(Serialize)]
struct Variable<'s> {
    name: &'s str,
    title: &'s str,
}

impl<'s> Answer<'s> {
    fn of(start: &'s Start) -> Self {
        let told = |note: &'s Note| Told {
            line: note.line,
            column: note.column,
            taken_over: !note.lost,
            place: &note.place,
            instead: &note.instead,
        };
        let variable = |(name, title): &'s (String, String)| Variable { name, title };
        Self {
            yaml: &start.yaml,
            notes: start.notes.iter().map(told).collect(),
            variables: start.variables.iter().map(variable).collect(),
        }
    }
}
