//! What `--help` says, for every command: the pages people read first.

use crate::bench::hms_sync;

#[test]
fn every_command_explains_itself() {
    let commands: [&[&str]; 44] = [
        &[],
        &["demo"],
        &["run"],
        &["check"],
        &["test"],
        &["status"],
        &["history"],
        &["explain"],
        &["as-of"],
        &["diff"],
        &["parked"],
        &["parked", "FILE", "list"],
        &["parked", "FILE", "replay"],
        &["parked", "FILE", "discard"],
        &["parked", "FILE", "push-ours"],
        &["parked", "FILE", "take-theirs"],
        &["conflicts"],
        &["conflicts", "FILE", "list"],
        &["conflicts", "FILE", "show"],
        &["conflicts", "FILE", "resolve"],
        &["conflicts", "FILE", "restore"],
        &["unlink"],
        &["relink"],
        &["join"],
        &["subscribers"],
        &["subscribers", "FILE", "replay"],
        &["subscribers", "FILE", "unsubscribe"],
        &["subscribers", "FILE", "subscribe"],
        &["poll"],
        &["audit"],
        &["audit", "FILE", "verify"],
        &["audit", "FILE", "export"],
        &["audit", "FILE", "new-origin"],
        &["log"],
        &["log", "FILE", "list"],
        &["log", "FILE", "stats"],
        &["log", "FILE", "archive"],
        &["log", "FILE", "compact"],
        &["log", "FILE", "recover"],
        &["import"],
        &["import", "airbyte"],
        &["discover"],
        &["schema"],
        &["completions"],
    ];
    let mut pages = String::new();
    for command in commands {
        let mut args = command.to_vec();
        args.push("--help");
        let ran = hms_sync(&args);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{command:?}");
        pages.push_str(&format!("$ hms-sync {}\n{}\n", args.join(" "), ran.out));
    }
    insta::assert_snapshot!(pages);
}

#[test]
fn the_page_on_commands_names_each_of_them_and_each_exit_code() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md")).unwrap();
    let help = hms_sync(&["--help"]).out;
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let names = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names: Vec<&str> = names.filter(|name| !name.is_empty() && *name != "help").collect();
    assert!(names.len() >= 11, "{names:?}");
    for name in names {
        assert!(
            page.contains(&format!("`hms-sync {name}")),
            "docs/cli.md does not tell of `hms-sync {name}`"
        );
    }
    let codes = help.split("Exit codes:").nth(1).unwrap();
    for code in codes.lines().filter_map(|line| line.split_whitespace().next()) {
        assert!(page.contains(&format!("| {code} |")), "docs/cli.md does not tell of exit code {code}");
    }
    for (_, path) in hms_sync_management::api_routes() {
        assert!(page.contains(path), "docs/cli.md does not tell of {path}");
    }
}

#[test]
fn completions_and_schema_are_printed_whole() {
    assert!(hms_sync(&["completions", "bash"]).out.contains("_hms__sync()"));
    let schema = hms_sync(&["schema"]).json();
    assert!(schema.get("properties").is_some(), "{schema}");
}
