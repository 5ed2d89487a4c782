//! Log lines on standard error: for people, or as JSON.

use crate::args::{Cli, Command, LogFormat};
use crate::screen::colours;
use hms_sync_management::one_line;
use owo_colors::{OwoColorize, Style};
use std::fmt::{self, Debug, Write as _};
use std::io::IsTerminal;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::registry::LookupSpan;

/// What is logged if `RUST_LOG` says nothing. A run tells each thing that
/// happens to a record; other commands speak up only when something is wrong.
pub(crate) fn filter_of(cli: &Cli) -> String {
    let loudness = i16::from(cli.global.verbose) - i16::from(cli.global.quiet);
    let running = matches!(cli.command, Command::Run(_));
    match (running, loudness) {
        (_, ..=-2) => "error",
        (true, -1) => "warn,hms_sync=info,hms_sync_engine=info,hms_sync_engine::record=warn",
        (true, 0) => "warn,hms_sync=info,hms_sync_engine=info,hms_sync_cli=info",
        (false, -1) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (true, 1) | (false, _) => {
            "info,hms_sync=debug,hms_sync_engine=debug,hms_sync_http=debug,hms_sync_management=debug"
        }
        (true, _) => "debug,hms_sync=trace,hms_sync_engine=trace,hms_sync_http=trace",
    }
    .to_owned()
}

/// Starts logging. Once per process.
pub(crate) fn start(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let colour = colours(std::io::stderr().is_terminal(), |name| std::env::var(name).ok());
    let logger = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Human => logger.with_ansi(colour).event_format(Line).try_init(),
        LogFormat::Json => logger.json().flatten_event(true).try_init(),
    };
    // Somebody who embeds this command has a logger already.
    let _theirs = started;
}

/// A line for people: when, how grave, which record, what, and the rest.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut parts = Parts::default();
        event.record(&mut parts);
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let level = *event.metadata().level();
        let styled = |style: Style, text: &str, to: &Writer<'_>| {
            if to.has_ansi_escapes() { text.style(style).to_string() } else { text.to_owned() }
        };
        let time = styled(Style::new().dimmed(), &time, &to);
        let grave = styled(style_of(level), &format!("{level:>5}"), &to);
        write!(to, "{time} {grave} ")?;
        if let Some(record) = &parts.record {
            let record = styled(Style::new().bold(), &one_line(record), &to);
            write!(to, "{record}: ")?;
        }
        writeln!(to, "{}{}", one_line(&parts.message), one_line(&parts.rest))
    }
}

fn style_of(level: Level) -> Style {
    match level {
        Level::ERROR => Style::new().red(),
        Level::WARN => Style::new().yellow(),
        Level::INFO => Style::new().green(),
        _ => Style::new().blue(),
    }
}

/// What an event says.
#[derive(Default)]
struct Parts {
    record: Option<String>,
    message: String,
    rest: String,
}

impl Visit for Parts {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "record" => self.record = Some(value.to_owned()),
            "message" => value.clone_into(&mut self.message),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "record" => self.record = Some(format!("{value:?}")),
            "message" => self.message = format!("{value:?}"),
            // Where a line comes from that was said by `log`: no line for people says that.
            name if name.starts_with("log.") => {}
            name => {
                let _infallible = write!(self.rest, " {name}={value:?}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::Line;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn said(colour: bool, say: impl FnOnce()) -> String {
        let page = Page::default();
        let to = page.clone();
        let logger = tracing_subscriber::fmt().with_ansi(colour).event_format(Line);
        tracing::subscriber::with_default(logger.with_writer(move || to.clone()).finish(), say);
        let said = page.0.lock().unwrap().clone();
        String::from_utf8(said).unwrap()
    }

    #[test]
    fn the_record_stands_before_what_happened_to_it() {
        let line = said(false, || {
            let (record, why) = (Some("permit/1"), "it is\n\u{1b}[2Jlate");
            tracing::info!(record, count = 2, why, "clerk {}", "edi\u{1b}ted");
        });
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.ends_with('Z'), "{line}");
        assert_eq!(rest, " INFO permit/1: clerk edi ted count=2 why=\"it is\\n\\u{1b}[2Jlate\"\n");
        let plain = said(false, || tracing::warn!(record = None::<&str>, why = %"no\nroom", "sync"));
        assert_eq!(plain.split_once(' ').unwrap().1, " WARN sync why=no room\n");
        let foreign = said(false, || tracing::warn!(log.target = "sled", log.line = 7, "trailing bytes"));
        assert_eq!(foreign.split_once(' ').unwrap().1, " WARN trailing bytes\n");
        assert!(said(true, || tracing::error!("x")).contains("\u{1b}[31mERROR"));
    }
}
