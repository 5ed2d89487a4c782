//! `personal: true`: taken where it can be kept, refused in words where it cannot.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

use hms_sync_config::parse;

/// A collection of two sides with these fields.
fn yaml(fields: &str, more: &str) -> String {
    format!(
        "sync: S
sides:
  a: {{ connector: http, url: 'http://127.0.0.1:1' }}
  b: {{ connector: http, url: 'http://127.0.0.1:2' }}
collections:
  person:
    identity: [no]
    sides:
      a:
        primary_key: key
        version_tag: {{ field: rev }}
        modified: changed
        read:
          path: /p
          request_parameters: {{ after: '{{{{ cursor }}}}', id: '{{{{ cursor_id }}}}' }}
          paginator: {{ type: keyset, key_field: sort }}
          incremental_sync: {{ cursor_field: stamp }}
        create: {{ method: POST, path: /p }}
        update: {{ method: PATCH, path: '/p/{{{{ id }}}}' }}
      b: {{ read: {{ path: /p }}, create: {{ method: POST, path: /p }}, update: {{ method: PATCH, path: '/p/{{{{ id }}}}' }} }}
    fields:
      no: {{ type: string, a: no, b: no }}
{fields}
{more}"
    )
}

fn said(fields: &str, more: &str) -> Vec<String> {
    match parse("s.yaml", &yaml(fields, more), &|_| None) {
        Ok(config) => {
            let personal = &config.collections.values().next().unwrap().personal;
            personal.iter().map(|field| format!("personal: {field}")).collect()
        }
        Err(errors) => errors.problems.into_iter().map(|problem| problem.message).collect(),
    }
}

#[test]
fn what_can_be_kept_is_taken() {
    let fields = "      phone: { type: string, personal: true, a: tel, b: tel }
      born: { type: date, personal: 'true', a: born, b: born }
      city: { type: text, personal: false, a: city, b: city }";
    assert_eq!(said(fields, ""), ["personal: born", "personal: phone"]);
    let group = "    groups: { person: { fields: [phone, born], lead: phone } }";
    assert_eq!(said(fields, group), ["personal: born", "personal: phone"]);
}

#[test]
fn what_finds_or_orders_records_cannot_be_personal() {
    let identity = yaml("", "").replace("no: { type: string,", "no: { type: string, personal: true,");
    let errors = parse("s.yaml", &identity, &|_| None).unwrap_err();
    assert_eq!(errors.problems[0].message, "`no` is part of the identity, so it cannot be personal");
    for (key, path) in [
        ("primary_key", "key"),
        ("version_tag", "rev"),
        ("modified", "changed"),
        ("cursor_field", "stamp"),
        ("key_field", "sort"),
        ("key_field", "sort.inner"),
    ] {
        let field = format!("      x: {{ type: string, personal: true, a: {path}, b: x }}");
        let message = format!("`{key}` of side `a` is where personal `x` is: `{path}`");
        assert_eq!(said(&field, ""), [message]);
    }
}

#[test]
fn what_another_field_holds_in_the_open_cannot_be_personal() {
    let fields = "      phone: { type: string, personal: true, a: contact.tel, b: tel }
      contact: { type: json, a: { path: contact, direction: from_side }, b: contact }";
    let message =
        "field `contact`, which is not personal, holds `contact.tel` of `a` too, where personal `phone` is";
    assert_eq!(said(fields, ""), [message]);
    assert_eq!(
        said(&fields.replace("type: json", "type: json, personal: true"), ""),
        ["personal: contact", "personal: phone"]
    );
}

#[test]
fn a_group_is_personal_as_a_whole_or_not_at_all() {
    let fields = "      street: { type: string, personal: true, a: street, b: street }
      city: { type: string, a: city, b: city }";
    let group = "    groups: { place: { fields: [street, city], lead: city } }";
    assert_eq!(said(fields, group), ["`street` is personal, and `city` of the same group `place` is not"]);
}

#[test]
fn anything_but_yes_or_no_is_refused() {
    let said = said("      x: { type: string, personal: maybe, a: x, b: x }", "");
    assert!(said.len() == 1 && said[0].contains("`personal` of field `x`"), "{said:?}");
}
