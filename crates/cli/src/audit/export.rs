//! Exporting, from the process that runs the sync or from its change log.
//!
//! What never happens here: writing over a file, or leaving half an export under its name.

use super::check::notes;
use crate::args::ExportArgs;
use crate::exit::{Exit, Failure};
use crate::screen::Screen;
use crate::source::{Source, failure};
use crate::words::count;
use hms_sync_management::ExportAsk;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// What the first line of every export begins with.
const BEGIN: &[u8] = b"{\"export\":";

/// Whether a file is an export, and no configuration.
pub(super) fn is_export(file: &Path) -> bool {
    let mut begin = [0; BEGIN.len()];
    File::open(file).and_then(|mut file| file.read_exact(&mut begin)).is_ok_and(|()| begin == *BEGIN)
}

/// The size in a checkpoint, which here is only a wish: whoever verifies checks the signature.
fn size_of(label: &str, note: &[u8]) -> Result<u64, Failure> {
    let text = String::from_utf8_lossy(note);
    let size = text.lines().nth(1).and_then(|line| line.parse().ok());
    size.ok_or_else(|| {
        Failure::new(Exit::Failed, format!("{label} is no checkpoint: its second line is no number"))
    })
}

/// Where an export goes: to standard output, or to a file that gets its name at the end.
pub(crate) enum Out {
    Screen(std::io::Stdout),
    File(BufWriter<File>, PathBuf, PathBuf),
}

impl Out {
    pub(crate) fn open(path: Option<&PathBuf>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::Screen(std::io::stdout())) };
        let failed = |what: String| Failure::new(Exit::Failed, what);
        if path.exists() {
            return Err(failed(format!("{} is there already", path.display())));
        }
        let part = path.with_extension("part");
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&part);
        let file = file.map_err(|why| failed(format!("{} cannot be made: {why}", part.display())))?;
        Ok(Self::File(BufWriter::new(file), part, path.clone()))
    }

    /// Gives the file its name.
    fn end(self) -> std::io::Result<()> {
        match self {
            Self::Screen(mut out) => out.flush(),
            Self::File(mut out, part, path) => {
                out.flush()?;
                out.get_ref().sync_all()?;
                std::fs::rename(part, path)
            }
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Screen(out) => out.write(bytes),
            Self::File(out, ..) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Screen(out) => out.flush(),
            Self::File(out, ..) => out.flush(),
        }
    }
}

/// Writes an export.
pub(super) async fn export(screen: Screen, file: &Path, options: &ExportArgs) -> Result<(), Failure> {
    let older = notes(&options.checkpoint)?;
    let older = older.iter().map(|(label, note)| size_of(label, note)).collect::<Result<Vec<_>, _>>()?;
    let older: Vec<String> = older.iter().map(u64::to_string).collect();
    let ask = ExportAsk {
        record: options.record.clone(),
        from: options.from.clone(),
        to: options.to.clone(),
        side: options.side.clone(),
        field: options.field.clone(),
        older: (!older.is_empty()).then(|| older.join(",")),
        ..ExportAsk::default()
    };
    let source = Source::with_notary(file).await?;
    let out = Out::open(options.out.as_ref())?;
    if let Some(entries) = export_into(&source, &ask, out).await? {
        screen.note(&count(entries, "entry", "entries"));
    }
    Ok(())
}

/// Writes what is asked for. Answers how many entries there are, where that is known.
pub(crate) async fn export_into(
    source: &Source,
    ask: &ExportAsk,
    mut out: Out,
) -> Result<Option<u64>, Failure> {
    let failed =
        |why: std::io::Error| Failure::new(Exit::Failed, format!("the export cannot be written: {why}"));
    match source {
        Source::Running(client) => {
            let pairs = pairs(ask);
            let query: Vec<(&str, &str)> =
                pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let mut answer = client.stream("/api/audit/export", &query).await?;
            while let Some(piece) = answer.next().await? {
                out.write_all(&piece).map_err(failed)?;
            }
            out.end().map_err(failed)?;
            Ok(None)
        }
        Source::Stopped(desk) => {
            let (done, ended) = std::sync::mpsc::channel();
            let entries = desk.export(ask, Handed(Some(out), done)).await.map_err(failure)?;
            let out = ended.recv().map_err(|_| Failure::new(Exit::Failed, "the export broke off"))?;
            out.end().map_err(failed)?;
            Ok(Some(entries))
        }
    }
}

/// A question as pairs of a query.
fn pairs(ask: &ExportAsk) -> Vec<(&str, String)> {
    let ExportAsk { record, from, to, side, field, older, before, until } = ask;
    let until = until.map(|until| until.to_string());
    let all = [
        ("record", record),
        ("from", from),
        ("to", to),
        ("side", side),
        ("field", field),
        ("older", older),
        ("before", before),
        ("until", &until),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
}

/// Gives back what was written to when it is no longer needed.
struct Handed(Option<Out>, std::sync::mpsc::Sender<Out>);

impl Write for Handed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.as_mut().map_or(Ok(0), |out| out.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.as_mut().map_or(Ok(()), Out::flush)
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        if let Some(out) = self.0.take() {
            // Nobody waits for it if the export failed.
            drop(self.1.send(out));
        }
    }
}
