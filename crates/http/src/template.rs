//! Text templates: `/permits/{{ id }}`, `updated > '{{ cursor }}'`.
//!
//! Compiled once, run with fuel, so that no template can run for ever. What is
//! filled into a path is percent-encoded as a part of one segment: no value can
//! leave its place. A name that nothing provides is an error, never empty text.

use minijinja::Environment;

/// What is wrong with a template, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

/// Whether `text` is a template at all.
pub(crate) fn check(text: &str) -> Result<(), TemplateError> {
    if is_plain(text) {
        return Ok(());
    }
    Environment::empty().template_from_str(text).map(|_| ()).map_err(|e| broken(&e))
}

fn is_plain(text: &str) -> bool {
    !text.contains("{{") && !text.contains("{%") && !text.contains("{#")
}

fn broken(error: &minijinja::Error) -> TemplateError {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    TemplateError(format!("the template cannot be used: {detail}"))
}
