//! Streams that are found at run time: they are named, each with what resolves it and with what
//! to write instead. None is guessed.

use super::Import;
use super::errors::listed;
use super::refs::{BadRef, Part};

impl Import {
    /// Names all of them.
    pub(super) fn dynamic(&mut self, manifest: &Part<'_>) -> Result<(), BadRef> {
        let Some(given) = manifest.own("dynamic_streams")? else { return Ok(()) };
        let all = given.elements()?.unwrap_or_default();
        if all.is_empty() {
            self.notes.lost(given.at, "`dynamic_streams`", instead("", None));
        }
        for one in &all {
            let resolver = one.own("components_resolver")?;
            let kind = resolver.as_ref().map(Part::kind).transpose()?.unwrap_or_default();
            let count = resolver.as_ref().map(parameters).transpose()?.flatten();
            let name = one.word("name")?.map(|name| format!(" `{name}`")).unwrap_or_default();
            let place = if kind.is_empty() {
                format!("`dynamic_streams`{name}")
            } else {
                format!("`{kind}` of `dynamic_streams`{name}")
            };
            self.notes.lost(resolver.map_or(one.at, |resolver| resolver.at), place, instead(&kind, count));
        }
        Ok(())
    }
}

/// How many streams a manifest itself lists parameters for.
fn parameters(resolver: &Part<'_>) -> Result<Option<usize>, BadRef> {
    let of = resolver.own("stream_parameters")?;
    let several = of.map(|of| listed(&of, "list_of_parameters_for_stream")).transpose()?;
    Ok(several.map(|several| several.len()))
}

/// What to do about it.
fn instead(kind: &str, count: Option<usize>) -> String {
    let what = match kind {
        "ParametrizedComponentsResolver" => {
            let count = count.map(|count| format!(", {count} here")).unwrap_or_default();
            format!(
                "its streams stand in `list_of_parameters_for_stream`{count}: write `stream_template` under `streams` once for each, with its parameters put in as `components_mapping` says, and import that"
            )
        }
        "ConfigComponentsResolver" => {
            "its streams are what people chose in `config`: write `stream_template` under `streams` once for each that you need, with its values put in as `components_mapping` says, and import that".to_owned()
        }
        "HttpComponentsResolver" => {
            "its streams are what the side answers: write `stream_template` under `streams` once for each that you need, with its values put in as `components_mapping` says, and import that; or have `hms-sync discover` look at the side".to_owned()
        }
        _ => "streams that are found at run time; add a collection for each that you need".to_owned(),
    };
    format!("left out: {what}")
}
