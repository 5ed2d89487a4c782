//! `spec.connection_specification`: what people are asked for, as variables.

use super::refs::{BadRef, Part};
use super::words::{Kind, Told, Variables};

/// So deep are keys looked for.
const MAX_DEPTH: usize = 6;

/// Reads what is said of each key.
pub(super) fn read(manifest: &Part<'_>, variables: &mut Variables) -> Result<(), BadRef> {
    let Some(spec) = manifest.own("spec")? else { return Ok(()) };
    let wanted = spec.own("connection_specification")?.or(spec.own("connectionSpecification")?);
    wanted.map_or(Ok(()), |wanted| keys(&wanted, &mut Vec::new(), true, variables))
}

fn keys(
    schema: &Part<'_>,
    way: &mut Vec<String>,
    needed: bool,
    variables: &mut Variables,
) -> Result<(), BadRef> {
    if way.len() >= MAX_DEPTH {
        return Ok(());
    }
    let required =
        schema.own("required")?.map(|list| list.elements()).transpose()?.flatten().unwrap_or_default();
    let required: Vec<String> = required.iter().filter_map(Part::text).collect();
    let properties = schema.own("properties")?.map(|of| of.entries()).transpose()?.unwrap_or_default();
    for (_, key, property) in properties {
        way.push(key.to_owned());
        let here = needed && required.iter().any(|name| name == key);
        let title = property.own("title")?.or(property.own("description")?).and_then(|of| of.text());
        let default = property.own("default")?.or(property.own("const")?);
        let default = match default.as_ref().map(Part::elements).transpose()?.flatten() {
            Some(list) => Some(list.iter().filter_map(Part::text).collect::<Vec<_>>().join(",")),
            None => default.and_then(|of| of.text()),
        };
        let title = title.unwrap_or_default();
        variables.tell(way, Told { title, default, required: here, kind: kind(&property)? });
        keys(&property, way, here, variables)?;
        way.pop();
    }
    // Of several ways, people take one: what it needs is needed.
    for several in ["oneOf", "anyOf", "allOf"] {
        let ways =
            schema.own(several)?.map(|list| list.elements()).transpose()?.flatten().unwrap_or_default();
        for one in ways {
            keys(&one, way, needed, variables)?;
        }
    }
    Ok(())
}

/// What a key holds, by the first type that is none of nothing.
fn kind(property: &Part<'_>) -> Result<Kind, BadRef> {
    let Some(given) = property.own("type")? else { return Ok(Kind::Text) };
    let words = given.elements()?.unwrap_or_else(|| vec![given.clone()]);
    let word = words.iter().filter_map(Part::text).find(|word| word != "null").unwrap_or_default();
    Ok(match word.as_str() {
        "boolean" => Kind::Truth,
        "integer" => Kind::Integer,
        "number" => Kind::Number,
        "array" => Kind::List,
        "object" => Kind::Map,
        _ => Kind::Text,
    })
}
