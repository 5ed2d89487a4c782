//! Which fields of a parent a template names, by its text. What cannot be told by that is taken
//! for named: then another value of it makes another partition, which is read from its beginning.

use super::NAMES;

/// Where the fields of a parent are.
const EXTRA: &str = "extra_fields";

/// Whether a template may name this of `extra_fields`.
pub(super) fn names(text: &str, field: &str) -> bool {
    NAMES.iter().any(|name| {
        text.match_indices(name).any(|(at, _)| {
            let rest = text.get(at + name.len()..).unwrap_or_default();
            match step(rest) {
                Some((EXTRA, rest)) => step(rest).is_none_or(|(named, _)| named == field),
                Some(_) => false,
                // All of it, or what is worked out.
                None => !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'),
            }
        })
    })
}

/// The member that is stepped into first, as far as it is written out, and what follows.
fn step(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let inside = text.strip_prefix(".get(").or_else(|| text.strip_prefix('['));
    if let Some(inside) = inside {
        let inside = inside.trim_start();
        let quote = inside.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (word, behind) = inside.get(1..)?.split_once(quote)?;
        let (between, rest) = behind.split_once([')', ']'])?;
        let plain = between.trim().is_empty() || between.trim_start().starts_with(',');
        return (plain && !word.contains('\\')).then_some((word, rest));
    }
    let rest = text.strip_prefix('.')?;
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let (word, rest) = rest.split_at_checked(end)?;
    (!word.is_empty() && !rest.starts_with('(')).then_some((word, rest))
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn what_a_template_names() {
        for (text, named) in [
            ("/{{ stream_partition.extra_fields['owner.login'] }}", true),
            ("/{{ stream_slice['extra_fields'][\"owner.login\"] }}", true),
            ("/{{ stream_slice.get('extra_fields', {}).get('owner.login', '') }}", true),
            ("/{{ stream_partition.extra_fields['other'] }}", false),
            ("/{{ stream_partition.extra_fields.other }}{{ stream_partition.repo }}", false),
            ("/{{ stream_partition['repo'] }}/{{ stream_slice.get('repo') }}", false),
            ("/stream_partitions/{{ cursor }}", false),
            ("", false),
            // Which of them cannot be told.
            ("/{{ stream_partition.extra_fields }}", true),
            ("/{{ stream_partition.extra_fields[cursor] }}", true),
            ("/{{ stream_partition.extra_fields['owner' ~ '.login'] }}", true),
            ("/{% set it = stream_slice %}{{ it.extra_fields['other'] }}", true),
            ("/{{ stream_partition.items() }}", true),
            ("/{{ stream_partition['extra' ~ '_fields'] }}", true),
        ] {
            assert_eq!(names(text, "owner.login"), named, "{text}");
        }
    }
}
