//! A million expressions and templates: with their guards they are what they were, and come to
//! the same.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use hms_sync_bounds::{Limit, check, expression, teach, template};
use hms_sync_hostile::Reader;
use minijinja::{Environment, UndefinedBehavior, Value};

/// As who uses this bounds it: what is longer takes the whole stack to build.
const LONG_MAX: usize = 4_000;

/// What is written out to be compared.
const SMALL: Limit = Limit { parts: 1_000, bytes: 100_000 };

fn language() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_fuel(Some(40_000));
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    teach(&mut env);
    env
}

/// What they see.
fn given() -> Value {
    minijinja::context! {
        value => "on-off", a => 3, b => vec![4, 2], c => minijinja::context! { t => "on", a => vec![1] },
        id => 17, d => 2.5, e => minijinja::context! {},
    }
}

#[test]
fn hostile_expressions_stay_what_they_are() {
    let env = language();
    Reader::new("guarded expressions")
        .sound([
            "(value | split('-') | list)[1] * 2 ~ 'a' 'b' ~ value.a.0[1:2]",
            "{'on': '1'}[value] if value in ['on', 'off'] else value | upper + 1e-5",
            "((value | length) * 100 // 3 % 7 ** 2) | string not in value is not none",
            "f(*a, b=c * -d, **e) is divisibleby 3 * 2",
        ])
        .words(["value"])
        .minijinja()
        .texts(|text| {
            if text.len() > LONG_MAX {
                return false;
            }
            // The guarded first: the original is worked out in part when it is built.
            let guarded = expression(text);
            let compiles = env.compile_expression_owned(guarded.text.clone()).is_ok();
            assert!(compiles || env.compile_expression_owned(text.to_owned()).is_err(), "{}", guarded.text);
            assert!(guarded.original(guarded.text.len()) <= text.len());
            // What passes its guards is no larger without them, and the same.
            if let Ok(made) =
                env.compile_expression_owned(guarded.text.clone()).and_then(|it| it.eval(given()))
                && check(&made, SMALL).is_ok()
            {
                // Behind the name of a test a guard may make whole what was not.
                let plain = env.compile_expression_owned(text.to_owned()).map(|it| it.eval(given()));
                if let Ok(plain) = plain {
                    assert_eq!(plain.unwrap().to_string(), made.to_string(), "{}", guarded.text);
                }
            }
            compiles
        });
}

#[test]
fn hostile_templates_stay_what_they_are() {
    let env = language();
    Reader::new("guarded templates")
        .sound([
            "{% for n, m in a * b if n in c recursive %}{{ loop.index }},{% else %}-{% endfor %}{{ id | upper ~ 1 }}",
            "{% set a = b.t ~ 1 %}{% if a is string %}{{- a[2:] ~ 1 -}}{% endif %}{# no #}{% raw %}{{{% endraw %}",
            "{% set x | upper %}a{% endset %}{% filter upper|replace('a', 'b') %}{{ {'a': {}} }}{% endfilter %}",
        ])
        .words(["{{", "}}", "{%", "%}", "{#", "#}", "-%}", "for a in ", "endfor", "raw", "endraw", "set ", "with ", "macro "])
        .minijinja()
        .texts(|text| {
            if text.len() > LONG_MAX {
                return false;
            }
            let guarded = template(text);
            let compiles = env.template_from_str(&guarded.text).is_ok();
            assert!(compiles || env.template_from_str(text).is_err(), "{}", guarded.text);
            if let Ok(made) = env.render_str(&guarded.text, given())
                && let Ok(plain) = env.template_from_str(text)
            {
                assert_eq!(plain.render(given()).unwrap(), made, "{}", guarded.text);
            }
            compiles
        });
}

/// Guards make what is built no deeper than the stack of a task.
#[test]
fn as_long_as_it_may_be() {
    let work = || {
        let env = language();
        for sign in ["|d", "~v", "*v", " in v", "+v", "()", "[v]", ".v"] {
            let text = format!("v{}", sign.repeat((LONG_MAX - 1) / sign.len()));
            let guarded = expression(&text).text;
            let _failed =
                env.compile_expression_owned(guarded).map(|it| it.eval(minijinja::context! { v => 1 }));
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}
