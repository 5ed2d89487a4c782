//! What a side shows of a value that it keeps in another form: which element of a set
//! is the image of which. Pure, and the same whenever it is asked: the fold relies on it.

use hms_sync_model::Value;

/// Whether two values differ in case and white space only; of sets, whether their elements
/// do, one by one.
pub(crate) fn same_but_form(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Set(a), Value::Set(b)) => a.len() == b.len() && pairs(a, b).len() == a.len(),
        _ => same_letters(a, b),
    }
}

fn same_letters(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b)) = (a.as_text(), b.as_text()) else { return false };
    let letters = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
    letters(a) == letters(b)
}

/// Which of the elements that were sent the side shows as which. Those that are equal belong
/// together; of the others, those that differ in their form.
fn pairs<'a>(sent: &'a [Value], shown: &'a [Value]) -> Vec<(&'a Value, &'a Value)> {
    let mut pairs: Vec<(&Value, &Value)> =
        sent.iter().filter_map(|one| Some((one, shown.iter().find(|other| *other == one)?))).collect();
    for one in sent.iter().filter(|one| !shown.contains(one)) {
        let free = |other: &&Value| !pairs.iter().any(|(_, taken)| taken == other);
        if let Some(other) = shown.iter().filter(free).find(|other| same_letters(one, other)) {
            pairs.push((one, other));
        }
    }
    pairs
}

/// What stands for what `view` shows, where the side showed `shown` of `sent` before: an
/// element that was the image of one that was sent stands for that one.
pub(crate) fn original(view: &Value, sent: &Value, shown: &Value) -> Value {
    let (Value::Set(view), Value::Set(sent), Value::Set(shown)) = (view, sent, shown) else {
        return view.clone();
    };
    let pairs = pairs(sent, shown);
    let of = |element: &Value| {
        pairs.iter().find(|(_, image)| *image == element).map_or(element, |(one, _)| one).clone()
    };
    Value::set(view.iter().map(of))
}

/// What the side shows of `after`, where it showed `shown` of `sent` before and its people
/// made `after` of that: the other way round. Nothing if it shows `after` itself.
pub(crate) fn image_after(after: &Value, sent: &Value, shown: &Value) -> Option<Value> {
    let image = original(after, shown, sent);
    (image != *after).then_some(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(elements: &[&str]) -> Value {
        Value::set(elements.iter().map(|element| Value::from(*element)))
    }

    #[test]
    fn elements_in_another_form_stand_for_what_was_sent() {
        let (sent, shown) = (set(&["Fire", "Hot Work", "x"]), set(&["fire", "hot work", "x"]));
        assert!(same_but_form(&sent, &shown));
        let after = original(&set(&["hot work", "x", "New"]), &sent, &shown);
        assert_eq!(after, set(&["Hot Work", "x", "New"]));
        assert_eq!(image_after(&after, &sent, &shown), Some(set(&["hot work", "x", "New"])));
    }

    #[test]
    fn elements_that_became_one_or_something_else_are_not_the_same_but_for_their_form() {
        assert!(!same_but_form(&set(&["Fire", "fire"]), &set(&["fire"])));
        assert!(!same_but_form(&set(&["Fire", "Hot"]), &set(&["fire", "cold"])));
        assert!(!same_but_form(&set(&["a"]), &Value::from("a")));
    }

    #[test]
    fn an_element_is_the_image_of_one_at_most() {
        let (sent, shown) = (set(&["A", "a"]), set(&["a", "b"]));
        assert_eq!(original(&set(&["a"]), &sent, &shown), set(&["a"]));
        assert_eq!(image_after(&set(&["a"]), &sent, &shown), None);
    }
}
