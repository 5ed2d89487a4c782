#![allow(clippy::unwrap_used, reason = "tests may panic")]
use super::{Compiled, check, segment, value};
use hms_sync_hostile::Reader;
use minijinja::context;
use proptest::prelude::*;
use serde_json::json;

#[test]
fn fills_paths_as_segments() {
    let path = Compiled::path("/a/{{ id }}/b{{ identity.no }}", &["id", "identity"]).unwrap();
    let identity = value(&json!({ "no": 7 }));
    let filled = path.fill(&context! { id => "x/../y?z#%", identity }).unwrap();
    assert_eq!(filled, "/a/x%2F..%2Fy%3Fz%23%25/b7");
    let empty = path.fill(&context! { id => "", identity => value(&json!({ "no": 7 })) });
    assert!(empty.unwrap_err().to_string().contains("nothing to put"));
}

#[test]
fn unknown_names_are_found_before_the_first_request() {
    let error = Compiled::path("/a/{{ ident }}", &["id"]).unwrap_err().to_string();
    assert_eq!(error, "the template names `ident`; known here: id");
    let missing = Compiled::text("{{ identity.no }}", &["identity"]).unwrap();
    missing.fill(&context! { identity => value(&json!({})) }).unwrap_err();
}

#[test]
fn methods_of_python_are_known() {
    for (text, comes_to) in [
        ("{{ a.get('b') }}{{ a.get('c', 'none') }}", "x,Ynone"),
        ("{{ a.b.replace(',', '/').lower() }}", "x/y"),
        ("{{ '-'.join(a.b.split(',')) }}", "x-Y"),
        ("{{ 'yes' if a.b.startswith('x') and not a.b.endswith('x') else 'no' }}", "yes"),
        ("{{ a.b.strip('x').upper() }}", ",Y"),
    ] {
        let text = Compiled::text(text, &["a"]).unwrap();
        assert_eq!(text.fill(&context! { a => value(&json!({ "b": "x,Y" })) }).unwrap(), comes_to);
    }
    // What would make a text as long as it likes is not there.
    for text in ["{{ a.casefold() }}", "{{ '{:>999999999}'.format(a) }}"] {
        let text = Compiled::text(text, &["a"]).unwrap();
        let why = text.fill(&context! { a => "x" }).unwrap_err().to_string();
        assert!(why.contains("method"), "{why}");
    }
}

#[test]
fn numbers_keep_their_digits() {
    let big: serde_json::Value =
        serde_json::from_str("[123456789012345678901234567890, 0.10, 18446744073709551615]").unwrap();
    let text = Compiled::text("{{ a[0] }} {{ a[1] }} {{ a[2] }}", &["a"]).unwrap();
    let filled = text.fill(&context! { a => value(&big) }).unwrap();
    assert_eq!(filled, "123456789012345678901234567890 0.10 18446744073709551615");
}

#[test]
fn no_template_runs_for_ever() {
    let text =
        Compiled::text("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}", &[]);
    text.unwrap().fill(&context! {}).unwrap_err();
}

#[test]
fn no_list_is_written_out_without_end() {
    let many: Vec<_> = (0..30_000).collect();
    let with =
        context! { l => value(&json!([1, "a"])), many => value(&json!(many)), long => "a".repeat(20_000) };
    for compile in [Compiled::text, Compiled::path, Compiled::asking] {
        let fill = |text: &str| {
            let filled = compile(text, &["l", "many", "long"]).unwrap().fill(&with).map(|text| text.len());
            filled.map_err(|why| why.to_string())
        };
        assert!(fill("{{ l }}").is_ok_and(|len| len < 40));
        assert!(fill("{{ '-' * 70 }}{{ l | length * 100 }}").is_ok_and(|len| len > 70));
        for (text, words) in [
            ("{{ many }}", "a list that is filled in has 20000 parts at most"),
            ("{{ {'a': [many]} }}", "a list that is filled in has 20000 parts at most"),
            ("{{ l * 900 }}", "a list cannot be multiplied"),
            ("{{ {'a': [l * 49999999]} }}", "a list cannot be multiplied"),
            ("{% set a = l * 999999 %}{{ a ~ 'b' }}", "a list cannot be multiplied"),
            ("{% set a = [0] | batch(900, long) %}{{ a ~ 'b' }}", "too large"),
            (
                "{% set n = namespace(a=[1]) %}{% for i in range(25) %}{% set n.a = [n.a, n.a] %}{% endfor %}{{ n.a ~ '' }}",
                "too large",
            ),
            (
                "{% set n = namespace(a=long) %}{% for i in range(12) %}{% set n.a = [n.a, n.a] %}{% endfor %}{{ n.a }}",
                "too large",
            ),
        ] {
            let why = fill(text).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
        }
    }
}

/// On the stack of a task: what builds templates goes as deep as they have signs.
#[test]
fn a_template_is_only_so_long() {
    let long = |signs: usize| format!("{{{{ 1{} }}}}", "~1".repeat(signs));
    let work = move || {
        check(&long(1_990)).unwrap();
        let why = check(&long(100_000)).unwrap_err().to_string();
        let words = "what a template fills in (`{{ … }}`) has 4000 bytes at most, and here it has 200003";
        assert_eq!(why, words);
        assert!(Compiled::text(&long(1_999), &[]).is_err());
        // What ends it within a text does not end it.
        for text in ["{{ '}}'", "{{ 'a\\'}}'", "{% if \"%}\"", "{{ 1 }} {{ '}}'"] {
            let text = format!("{text}{} }}}}", "~1".repeat(3_000));
            assert!(Compiled::text(&text, &[]).is_err(), "{text:.20}");
        }
        // Text around it may be as long as it likes.
        Compiled::whole(&"a\n".repeat(10_000), &[]).unwrap();
        let body = format!("{}{{{{ id }}}}{}", "query ".repeat(2_000), " { x } ".repeat(2_000));
        Compiled::text(&body, &["id"]).unwrap();
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn hostile_templates() {
    let identity = value(&json!({ "no": 7, "t": "../ß?#", "l": [1, null] }));
    let with = context! { id => "x/../y", identity };
    Reader::new("templates")
        .sound([
            "/a/{{ id }}/b{{ identity.no }}",
            "{% for n in identity.l if n %}{{ loop.index }},{% else %}-{% endfor %}{{ id | upper }}",
            "{% set a = identity.t %}{% if a is string %}{{ a[2:] ~ 1 }}{% endif %}{# no #}{% raw %}{{{% endraw %}",
            "{{ id | replace('.', '-') | title }}{{ identity.no // 2 ** 3 }}{{ identity.l | join(',') }}",
        ])
        .words([
            "{{", "}}", "{%", "%}", "{#", "#}", "-%}", "id", "identity", ".no", "for a in ", "endfor", "endif",
            "set ", "macro ", "call ", "raw", "endraw", "include ", "extends ", "block ", "range(", "loop",
            "namespace(", "dict(", "debug()", "\"", "set a = []", "a.append(", "duration(", "now_utc()", "'P1D'",
            "|regex_search(", "|hash(", "|base64decode",
        ])
        .minijinja()
        .texts(|text| {
            let known = ["id", "identity"];
            let compiled = [Compiled::path(text, &known), Compiled::asking(text, &known)];
            let fine = check(text).is_ok();
            let mut filled = 0;
            for template in compiled.into_iter().flatten() {
                assert!(fine, "{text} is refused by the check alone");
                template.members_of("identity");
                filled += usize::from(template.fill(&with).is_ok());
            }
            filled > 0
        });
}

proptest! {
    /// A value stays in its segment and comes back as it was.
    #[test]
    fn segments_hold_any_text(text in "\\PC{1,20}|[./%\\\\?#\r\n]{1,8}") {
        let encoded = segment(&text);
        prop_assert!(!encoded.contains(['/', '\\', '?', '#', '\r', '\n']));
        let form = encoded.replace('+', "%2B");
        let back: Vec<(String, String)> =
            url::form_urlencoded::parse(format!("a={form}").as_bytes()).into_owned().collect();
        prop_assert_eq!(&back, &[("a".to_owned(), text)]);
    }
}
