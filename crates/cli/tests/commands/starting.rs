//! `import` and `discover`: a configuration to start from, and what is said
//! beside it.

use crate::bench::{Bench, Ran, command, hms_sync};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const MANIFEST: &str = "\
definitions:
  requester:
    url_base: https://api.example.org/
    authenticator: { type: BearerAuthenticator, api_token: \"{{ config['token'] }}\" }
streams:
  - name: permits
    primary_key: id
    retriever:
      requester: { $ref: '#/definitions/requester', path: permits }
      record_selector: { extractor: { type: DpathExtractor, field_path: [items] } }
    schema_loader: { type: InlineSchemaLoader, schema: { properties: { id: { type: string } } } }
spec:
  connection_specification: { required: [token], properties: { token: { type: string, title: The token } } }
";

fn put(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_manifest_that_is_taken_over_whole_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = put(folder.path(), "source-permits/manifest.yaml", MANIFEST);
    let out = folder.path().join("permits.yaml").display().to_string();
    let ran = hms_sync(&["import", "airbyte", &manifest, "--out", &out]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{ran:?}");
    assert!(ran.err.contains("set PERMITS_TOKEN: The token"), "{}", ran.err);
    let yaml = std::fs::read_to_string(&out).unwrap();
    assert!(yaml.contains("sync: permits_sync\n") && yaml.contains("${PERMITS_TOKEN:?The token}"), "{yaml}");
    let again = hms_sync(&["import", "airbyte", &manifest, "--out", &out]);
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.err.contains("cannot be written"), "{}", again.err);
    // Its form is right: `check` gets as far as asking the sides.
    let checked = Ran::of(command(&["check", &out]).env("PERMITS_TOKEN", "x").output().unwrap());
    assert_eq!(checked.code, 4, "{checked:?}");
}

#[test]
fn what_is_not_taken_over_is_named_and_told_by_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = put(
        folder.path(),
        "m.yaml",
        &MANIFEST.replace("    primary_key: id\n", "    primary_key: id\n    file_uploader: {}\n"),
    );
    let ran = hms_sync(&["import", "airbyte", &manifest]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err.contains(&format!("{manifest}:8:5: `file_uploader` of stream `permits`: left out")),
        "{}",
        ran.err
    );
    assert!(ran.out.contains("sync: m_sync\n"), "{}", ran.out);
    let json = hms_sync(&["import", "airbyte", &manifest, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&json["notes"][0]["line"], &json["notes"][0]["taken_over"]), (&8.into(), &false.into()));
    let refused = hms_sync(&["import", "airbyte", &put(folder.path(), "bad.yaml", "a: [")]);
    assert_eq!((refused.code, refused.out.as_str()), (3, ""), "{refused:?}");
}

fn discovered(args: &[&str], env: &[(&str, &str)]) -> Ran {
    let mut command = command(args);
    command.envs(env.iter().copied());
    Ran::of(command.output().unwrap())
}

#[test]
fn a_side_known_by_its_url_alone_is_sampled() {
    let bench = Bench::new();
    bench.clerk.seed_records(1, 30);
    bench.marshal.seed_records(1, 30);
    let url = bench.clerk.url();
    let args = ["discover", url.as_str(), "--bearer", "TOKEN", "--path", "/permits"];
    let ran = discovered(&args, &[("TOKEN", "demo")]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for part in [
        "_sync\n\nsides:\n",
        "api_token: \"${TOKEN}\"",
        "field_path: [items]",
        "type: offset, offset_param: offset, limit_param: limit",
        "cursor_field: updated_at",
        "field_name: since",
        "identity: [permit_no]",
        "path: \"/permits/{{ id }}\"",
    ] {
        assert!(ran.out.contains(part), "{part} is not in\n{}", ran.out);
    }
    assert!(!ran.out.contains("demo"), "{}", ran.out);
    // Nothing was written there.
    assert!(bench.clerk.effects().is_empty());
    let out = bench.folder.path().join("found.yaml");
    std::fs::write(&out, &ran.out).unwrap();
    let marshal = bench.marshal.url();
    let checked =
        discovered(&["check", out.to_str().unwrap()], &[("TOKEN", "demo"), ("OTHER_URL", marshal.as_str())]);
    // The second side is a stub: it does not answer as it should, and the form is right.
    assert_eq!(checked.code, 4, "{checked:?}");
    assert!(checked.out.contains("ok side permits") || checked.out.contains("permits:"), "{}", checked.out);
    let few = [&args[..], &["--json", "--max-requests", "9"]].concat();
    let few = discovered(&few, &[("TOKEN", "demo")]).json();
    assert_eq!(few["requests"], 9, "{few}");
    assert_eq!(few["collections"][0]["id"], "id", "{few}");
}

#[test]
fn a_side_of_a_configuration_is_sampled_as_it_is_written_there() {
    let bench = Bench::new();
    bench.marshal.seed_records(1, 30);
    let file = bench.file();
    let ran = hms_sync(&["discover", &file, "marshal", "--path", "/inspections", "--json"]);
    let found = ran.json();
    let of = &found["collections"][0];
    assert_eq!(
        (&of["cursor"], &of["since"], &of["paging"]),
        (&"updatedAt".into(), &"since".into(), &"by offset".into())
    );
    assert!(found["yaml"].as_str().unwrap().contains("username: sync"), "{found}");
    let nobody = hms_sync(&["discover", &file, "nobody"]);
    assert_eq!(nobody.code, 3, "{nobody:?}");
    // The listings that it names are known.
    let known = hms_sync(&["discover", &file, "marshal", "--json"]);
    assert_eq!(known.json()["collections"][0]["path"], "/inspections", "{known:?}");
    let url = bench.clerk.url();
    let nothing = hms_sync(&["discover", &url, "--path", "/nowhere", "--bearer", "PATH"]);
    assert_eq!(nothing.code, 4, "{nothing:?}");
    assert!(
        nothing.err.contains("does not let us in") && nothing.err.contains("--bearer"),
        "{}",
        nothing.err
    );
    let args = ["discover", &url, "--path", "/nowhere", "--bearer", "TOKEN"];
    let nothing = discovered(&args, &[("TOKEN", "demo")]);
    assert_eq!(nothing.code, 1, "{nothing:?}");
    assert!(nothing.err.contains("--path"), "{}", nothing.err);
}

#[test]
fn a_side_that_is_away_is_said_so() {
    let ran = hms_sync(&["discover", "http://127.0.0.1:1", "--path", "/x"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.err.contains("cannot connect"), "{}", ran.err);
}

/// A side that means no good; the answer is its URL, and how often it was asked.
fn hostile(elsewhere: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            // Whoever hung up has had enough.
            let _gone = answer(stream, &elsewhere);
        }
    });
    (url, asked)
}

fn answer(mut stream: TcpStream, elsewhere: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    if first.contains("json") || first.contains("api-docs") {
        return write!(stream, "HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\nconnection: close\r\n\r\n");
    }
    stream.write_all(head.as_bytes())?;
    if first.contains("/endless") {
        stream.write_all(b"[")?;
        let some = "1,".repeat(1 << 16);
        loop {
            stream.write_all(some.as_bytes())?;
        }
    }
    if first.contains("/deep") {
        return stream.write_all("[".repeat(1 << 20).as_bytes());
    }
    let record = |id: u8| format!(r#"{{"id":{id},"${{SECRET}}":1,"{{{{ id }}}}":2,"a\rurl: evil":3}}"#);
    write!(stream, "[{},{}]", record(1), record(2))
}

#[test]
fn a_side_that_means_no_good_gets_nothing() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let (url, asked) = hostile(format!("http://{}/", elsewhere.local_addr().unwrap()));
    let paths = ["--path", "/permits", "--path", "/deep", "--path", "/endless"];
    let args = [&["discover", url.as_str(), "--max-requests", "25"][..], &paths].concat();
    let ran = discovered(&args, &[("SECRET", "hidden")]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("path: /permits"), "{}", ran.out);
    for part in ["SECRET", "hidden", "{{ id }}:", "evil", "\r"] {
        assert!(!ran.out.contains(part), "{part:?} is in\n{}", ran.out);
    }
    assert!(ran.err.contains("/endless: no listing") && ran.err.contains("larger than"), "{}", ran.err);
    assert!(ran.err.contains("/deep: no listing"), "{}", ran.err);
    assert!(asked.load(Ordering::SeqCst) <= 25, "{}", asked.load(Ordering::SeqCst));
    // Nobody was sent on.
    assert!(elsewhere.accept().is_err());
}
