//! What `AddFields` computes: `transformations` that make it of the record, of the partition that
//! it is listed for and of the range that was asked for. What else it is made of is put in where it
//! is known, and what is another each time, as the clock, has no place there.

use super::Import;
use super::added::{Added, What};
use super::calls::CLOCK;
use super::errors::listed;
use super::known::{Known, fits, listed_by, of_range};
use super::refs::{BadRef, Part};
use super::words::Said;
use crate::out::{Item, Out};
use hms_sync_config::{At, wrong_addition, wrong_removal, wrong_value};
use std::collections::BTreeSet;

/// The partitions that a record carries: what each is called, and where it is.
type Carried = Vec<(String, Vec<String>)>;

/// What is taken out of members of a record: by which transformation, and where.
type Removed = (usize, At, Vec<Vec<String>>);

impl Import {
    /// All that a stream adds to its records, as far as can be made as what it is.
    pub(super) fn added<'m>(&mut self, stream: &Part<'m>) -> Result<Vec<Added<'m>>, BadRef> {
        let mut added = super::added::added(stream)?;
        self.makeable(stream, &mut added)?;
        let made = added.iter().filter(|one| matches!(one.what, What::Made(_)));
        self.made = made.filter_map(Added::name).map(str::to_owned).collect();
        Ok(added)
    }

    /// Finds out what of it can be made of a record. Why the rest cannot is noted where it is
    /// told that it is left out.
    pub(super) fn makeable(&mut self, stream: &Part<'_>, added: &mut [Added<'_>]) -> Result<(), BadRef> {
        let filter = filter(stream)?;
        let carried = added.iter().filter_map(|one| match &one.what {
            What::Partition(name) => Some((name.clone(), one.path.clone())),
            _ => None,
        });
        let carried: Carried = carried.collect();
        let known = listed_by(stream)?;
        self.unmakeable.clear();
        for one in added.iter_mut() {
            let seen = one.path.first().is_some_and(|name| filter.sees(name));
            let is_copy = matches!(one.what, What::Copy(_)) && (one.name().is_none() || seen);
            if !is_copy && !matches!(one.what, What::Computed | What::Again) || one.path.is_empty() {
                continue;
            }
            match self.value(one, &carried, &known) {
                Ok((value, when)) => {
                    one.what = What::Made(value);
                    one.when = when;
                }
                Err(why) => self.unmakeable.push((one.of.at, why)),
            }
        }
        // A copy of what is made, of what is made over or of what is taken out is made in its turn.
        let mut made: BTreeSet<Vec<String>> = added
            .iter()
            .filter(|one| matches!(one.what, What::Made(_)))
            .map(|one| one.path.clone())
            .collect();
        made.extend(removed(stream)?.into_iter().flat_map(|(_, _, ways)| ways));
        for one in added.iter_mut() {
            let What::Copy(way) = &one.what else { continue };
            if made.iter().any(|path| path.starts_with(way) || way.starts_with(path)) {
                one.what = What::Made(format!("{{{{ {} }}}}", place(way)));
            }
        }
        Ok(())
    }

    /// What a field is made by, and under which condition.
    fn value(
        &mut self,
        one: &Added<'_>,
        carried: &Carried,
        known: &Known,
    ) -> Result<(String, Option<String>), String> {
        let text = one.of.word("value").ok().flatten().unwrap_or_default();
        if one.path.iter().any(|part| part.contains('*')) {
            return Err("its `path` leads to several places".to_owned());
        }
        let when = one.condition.as_ref().map(|condition| self.condition(condition)).transpose()?;
        when.as_ref().map_or(Ok(()), |when| fits(when, known))?;
        let clock = CLOCK.iter().map(|word| (*word, "the clock"));
        let others = [
            ("parent_slice", "a parent's own parent"),
            ("stream_state", "the cursor"),
            ("next_page_token", "the page"),
        ];
        for (word, what) in clock.chain(others) {
            if text.contains(word) {
                return Err(format!("it is made of {what}, and a record must come to the same each time"));
            }
        }
        let value = match self.variables.say(&text, &one.of) {
            Said::Plain(text) => text,
            Said::Template(text) => {
                fits(&text, known)?;
                put_in(&text, carried)
            }
            Said::Cannot(why) => return Err(why),
        };
        if let Some(why) = wrong_value(&value) {
            return Err(why);
        }
        if of_range(&value, "cursor") || of_range(&value, "cursor_end") {
            let instead = "it is made of the range that was asked for: a record that is asked for in another range has another there";
            self.notes.chose(one.of.at, format!("`AddFields` of `{}`", one.path.join(".")), instead);
        }
        Ok((value, when))
    }

    fn condition(&mut self, given: &Part<'_>) -> Result<String, String> {
        let text = given.text().ok_or_else(|| "its `condition` is no text".to_owned())?;
        let formula = format!("{{{{ {} }}}}", self.variables.formula(&text, given)?);
        wrong_addition(&formula).map_or(Ok(formula), |why| Err(format!("of its `condition`: {why}")))
    }

    /// The condition of values that are taken out wherever they are; the error says why they are not.
    pub(super) fn of_values(&mut self, given: &Part<'_>) -> Result<String, String> {
        let text = given.text().ok_or_else(|| "its `condition` is no text".to_owned())?;
        if !text.contains("property") {
            return Err(
                "its `condition` is not about `property`, so that all values of a record would go".to_owned()
            );
        }
        let formula = format!("{{{{ {} }}}}", self.variables.formula(&text, given)?);
        wrong_removal(&formula).map_or(Ok(formula), |why| Err(format!("of its `condition`: {why}")))
    }

    /// What is taken out by what it is. Airbyte looks through all of a record for it, whatever
    /// the pointers say.
    fn taken_by_value(&mut self, stream: &Part<'_>) -> Result<Vec<(usize, Vec<Item>)>, BadRef> {
        let mut found = Vec::new();
        for (step, one) in listed(stream, "transformations")?.into_iter().enumerate() {
            let Some(given) =
                condition_of(&one)?.filter(|_| one.kind().is_ok_and(|kind| kind == "RemoveFields"))
            else {
                continue;
            };
            let Ok(condition) = self.of_values(&given) else { continue };
            let everywhere = Out::List(vec![Out::List(vec![Out::text("**")])]);
            let items = vec![
                Item::new(one.at, "type", Out::text("remove_fields")),
                Item::new(given.at, "condition", Out::Text(condition)),
                Item::new(one.at, "field_pointers", everywhere),
            ];
            found.push((step, items));
        }
        Ok(found)
    }

    /// The `transformations` of a collection. Its `read` has them before its filter where the
    /// stream has it so.
    pub(super) fn transformations(
        &mut self,
        stream: &Part<'_>,
        added: &[Added<'_>],
        read: &mut [Item],
    ) -> Result<Option<Item>, BadRef> {
        let mut steps: Vec<(usize, Vec<Item>)> = Vec::new();
        for one in added {
            let What::Made(value) = &one.what else { continue };
            let path = Out::List(one.path.iter().map(Out::text).collect());
            let field = Out::Map(vec![
                Item::new(one.of.at, "path", path),
                Item::new(one.of.at, "value", Out::text(value)),
            ]);
            if let Some((_, items)) = steps.last_mut().filter(|(step, _)| *step == one.step) {
                if let Some(Item { value: Out::List(fields), .. }) = items.last_mut() {
                    fields.push(field);
                }
                continue;
            }
            let mut items = vec![Item::new(one.of.at, "type", Out::text("add_fields"))];
            let when = one.condition.as_ref().zip(one.when.clone());
            items.extend(when.map(|(given, text)| Item::new(given.at, "condition", Out::Text(text))));
            items.push(Item::new(one.of.at, "fields", Out::List(vec![field])));
            steps.push((one.step, items));
        }
        for (step, at, pointers) in removed(stream)? {
            let pointers = pointers.iter().map(|way| Out::List(way.iter().map(Out::text).collect()));
            let items = vec![
                Item::new(at, "type", Out::text("remove_fields")),
                Item::new(at, "field_pointers", Out::List(pointers.collect())),
            ];
            steps.push((step, items));
        }
        steps.extend(self.taken_by_value(stream)?);
        steps.sort_by_key(|(step, _)| *step);
        let steps: Vec<Out> = steps.into_iter().map(|(_, items)| Out::Map(items)).collect();
        if steps.is_empty() {
            return Ok(None);
        }
        turn(read, stream)?;
        Ok(Some(Item::new(stream.at, "transformations", Out::List(steps))))
    }

    /// Why a field cannot be made.
    pub(super) fn why_not(&self, one: &Added<'_>) -> Option<&str> {
        self.unmakeable.iter().find(|(at, _)| *at == one.of.at).map(|(_, why)| why.as_str())
    }
}

/// What decides which records are taken.
#[derive(Default)]
struct Filter {
    condition: String,
    /// It looks at what transformations made of them.
    is_last: bool,
}

impl Filter {
    /// Whether what transformations do to `name` makes a difference to it.
    fn sees(&self, name: &str) -> bool {
        self.is_last && self.condition.contains(name)
    }
}

/// Airbyte filters first, unless it is told otherwise or compares records with the cursor by itself.
fn filter(stream: &Part<'_>) -> Result<Filter, BadRef> {
    let retriever = stream.get("retriever")?;
    let selector = retriever.map(|retriever| retriever.own("record_selector")).transpose()?.flatten();
    let Some(selector) = selector else { return Ok(Filter::default()) };
    let sync = stream.get("incremental_sync")?;
    let here = sync.map(|sync| sync.word("is_client_side_incremental")).transpose()?.flatten();
    let is_last = selector.word("transform_before_filtering")?.or(here).is_some_and(|word| word == "true");
    let filter = selector.own("record_filter")?;
    let condition = filter.map(|filter| filter.word("condition")).transpose()?.flatten();
    Ok(Filter { condition: condition.unwrap_or_default(), is_last })
}

/// Has the filter of `read` look at what `transformations` make, if the stream has it so.
fn turn(read: &mut [Item], stream: &Part<'_>) -> Result<(), BadRef> {
    let selector = read.iter_mut().find(|item| item.key == "record_selector");
    let Some(Item { value: Out::Map(items), .. }) = selector else { return Ok(()) };
    if let Some(filter) = items.iter().find(|item| item.key == "record_filter")
        && self::filter(stream)?.is_last
    {
        items.push(Item::new(filter.from, "transform_before_filtering", Out::Plain("true".to_owned())));
    }
    Ok(())
}

/// All that a stream takes out of members of its records.
fn removed(stream: &Part<'_>) -> Result<Vec<Removed>, BadRef> {
    let all = stream.get("transformations")?.map(|list| list.elements()).transpose()?.flatten();
    let filter = filter(stream)?;
    let mut found = Vec::new();
    for (step, one) in all.unwrap_or_default().into_iter().enumerate() {
        if one.kind()? != "RemoveFields" || condition_of(&one)?.is_some() {
            continue;
        }
        let mut ways = Vec::new();
        for pointer in listed(&one, "field_pointers")? {
            ways.extend(inner(&pointer, &filter)?);
        }
        if !ways.is_empty() {
            found.push((step, one.at, ways));
        }
    }
    Ok(found)
}

/// The condition of a transformation, if it has one.
pub(super) fn condition_of<'m>(one: &Part<'m>) -> Result<Option<Part<'m>>, BadRef> {
    Ok(one.own("condition")?.filter(|given| given.text().is_none_or(|text| !text.is_empty())))
}

/// The way to something within a member, or to a member that the filter misses, if it can be
/// taken out.
fn inner(pointer: &Part<'_>, filter: &Filter) -> Result<Option<Vec<String>>, BadRef> {
    let way: Vec<String> = pointer.elements()?.unwrap_or_default().iter().filter_map(Part::text).collect();
    let is_plain = !way.iter().any(|part| part.contains('*'));
    let counts = match way.as_slice() {
        [only] => filter.sees(only),
        way => !way.is_empty(),
    };
    Ok((counts && is_plain).then_some(way))
}

/// Whether something within a member is taken out by `transformations` of ours.
pub(super) fn is_removed(stream: &Part<'_>, pointer: &Part<'_>) -> Result<bool, BadRef> {
    Ok(inner(pointer, &filter(stream)?)?.is_some())
}

/// The way to a place in the record, as expressions have it.
fn place(way: &[String]) -> String {
    let step = |part: &String| {
        let is_word = part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_');
        if is_word {
            format!(".{part}")
        } else {
            format!("['{}']", part.replace('\\', "\\\\").replace('\'', "\\'"))
        }
    };
    format!("record{}", way.iter().map(step).collect::<String>())
}

/// A template where partitions are what the record carries.
fn put_in(text: &str, carried: &Carried) -> String {
    let mut text = text.to_owned();
    for (name, way) in carried {
        let there = place(way);
        for step in [
            format!("['{name}']"),
            format!("[\"{name}\"]"),
            format!(".get('{name}')"),
            format!(".get(\"{name}\")"),
        ] {
            text = text.replace(&format!("stream_partition{step}"), &there);
        }
        let dotted = format!("stream_partition.{name}");
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once(&dotted) {
            let goes_on = after.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '('));
            out.extend([before, if goes_on { &dotted } else { &there }]);
            rest = after;
        }
        out.push_str(rest);
        text = out;
    }
    text
}
