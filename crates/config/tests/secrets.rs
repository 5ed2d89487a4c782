//! Secrets from files and commands: read within bounds, and never shown.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use hms_sync_config::parse;
use std::path::PathBuf;

const SECRET: &str = "canary-5f1c9-secret";

fn config(token: &str) -> String {
    let full = include_str!("data/full.yaml").replace("{ command: [printenv, PATH] }", "\"${TOKEN}\"");
    full.replacen("api_token: \"${TOKEN}\"", &format!("api_token: {token}"), 1)
}

fn read(token: &str, allowed: bool) -> Result<String, String> {
    let env = |name: &str| match name {
        "HMS_SYNC_SECRET_COMMANDS" => allowed.then(|| "allow".to_owned()),
        "TOKEN" => Some("t0ken".to_owned()),
        "CONCURRENCY" | "ATTEMPTS" => Some("7".to_owned()),
        _ => None,
    };
    let read = parse("sync.yaml", &config(token), &env);
    read.map(|config| format!("{config:?}")).map_err(|errors| errors.to_string())
}

fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("hms-sync-secret-{}-{name}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_file_or_a_command_gives_the_text() {
    let path = file("good", format!("{SECRET}\n").as_bytes());
    let shown = read(&format!("{{ file: \"{}\" }}", path.display()), false).unwrap();
    assert!(!shown.contains(SECRET));
    // Allowed or not makes the difference, and only that.
    let command = format!("{{ command: [cat, \"{}\"] }}", path.display());
    read(&command, true).unwrap();
    let refused = read(&command, false).unwrap_err();
    assert!(refused.contains("commands that print secrets are run only where that is allowed"), "{refused}");
    assert!(refused.contains("set HMS_SYNC_SECRET_COMMANDS=allow"), "{refused}");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn what_cannot_be_had_is_told_without_it() {
    let (large, binary) = (file("large", "x".repeat(70_000).as_bytes()), file("binary", &[0xff; 9]));
    let (empty, marked) = (file("empty", b"\n"), file("marked", format!("{SECRET}\r\nx: y").as_bytes()));
    let path = |path: &PathBuf| format!("{{ file: \"{}\" }}", path.display());
    for (token, told) in [
        (
            "{ file: /nowhere/secret }".to_owned(),
            "the secret in `/nowhere/secret` cannot be read: No such file",
        ),
        ("{ file: [a] }".to_owned(), "`file` is the path of a file"),
        (path(&large), "is longer than 65536 bytes"),
        (path(&binary), "holds no text"),
        (path(&empty), "there is nothing in"),
        // A line's end inside stays, and cannot be carried by a header.
        (path(&marked), "the secret has characters that a header cannot carry"),
        ("{ command: cat }".to_owned(), "`command` is a list: the program and its arguments"),
        ("{ command: [] }".to_owned(), "`command` is a list of texts"),
        (
            "{ command: [/nowhere/program] }".to_owned(),
            "`/nowhere/program`, which prints a secret, cannot be run",
        ),
        (
            format!("{{ command: [sh, -c, \"echo {SECRET}; echo {SECRET} >&2; exit 3\"] }}"),
            "ended with exit status: 3",
        ),
        ("{ command: [sh, -c, \"yes\"] }".to_owned(), "says more than 65536 bytes"),
    ] {
        let errors = read(&token, true).expect_err(&token);
        assert!(errors.contains(told), "{errors}");
        // The line itself is shown where the person wrote the text into it.
        assert!(token.contains(SECRET) || !errors.contains(SECRET), "{errors}");
    }
    for path in [large, binary, empty, marked] {
        std::fs::remove_file(path).unwrap();
    }
}

/// Nowhere else is a map of one key taken for a secret.
#[test]
fn only_where_secrets_are() {
    let yaml = config("x").replacen(
        "request_headers: { X-Client: hms-sync }",
        "request_headers: { file: /etc/passwd }",
        1,
    );
    let env = |name: &str| Some(if name == "TOKEN" { "t0ken" } else { "7" }.to_owned());
    let config = parse("sync.yaml", &yaml, &env).unwrap();
    let side = config.sides.iter().find(|(name, _)| name.as_str() == "clerk").unwrap().1;
    let headers: Vec<_> =
        side.http.request_headers.iter().map(|(name, value)| (name.as_str(), value)).collect();
    assert_eq!(headers, [("file", &"/etc/passwd".parse().unwrap())]);
}
