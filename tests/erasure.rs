//! The promise of erasure: no personal value ever reaches a file as it is, and once a
//! record is erased neither its values nor its key are found anywhere, nor anything
//! that would confirm one of them; everybody else's still open, and every proof holds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests may panic"
)]

use base64::Engine;
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use hms_sync_changelog::{Log, Options};
use hms_sync_doubles::{Double, Hook};
use hms_sync_model::Date;
use hms_sync_tests::{Needles, Program, until};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Days from which every birthday here is taken: all that somebody who guesses would try.
const DICTIONARY: u64 = 40_000;
const FIRST_DAY: i32 = -18_262;

/// The `n`-th day of the dictionary.
fn day(n: u64) -> String {
    Date(FIRST_DAY + i32::try_from(n % DICTIONARY).unwrap()).to_string()
}

fn number(n: u64) -> String {
    format!("P-{n:06}")
}

/// What is personal of permit `n`, in its `turn`-th form.
fn born(n: u64, turn: u64) -> String {
    day(n * 131 + turn * 13_331)
}

fn address(n: u64) -> String {
    format!("Hemlock Crescent {}", 700_000 + n)
}

/// The marshal will not take this, and says so with the value.
fn phone(n: u64) -> String {
    format!("call 555-{:06}", 100_000 + n)
}

fn refused(n: u64) -> bool {
    n.is_multiple_of(20)
}

/// Every personal value that permit `n` ever had.
fn values(n: u64) -> Vec<String> {
    let phone = refused(n).then(|| phone(n));
    (0..4).map(|turn| born(n, turn)).chain([address(n)]).chain(phone).collect()
}

/// Two systems, a sync with personal fields between them, and who asks it.
struct Scene {
    clerk: Double,
    marshal: Double,
    program: Program,
    http: reqwest::Client,
    records: u64,
}

impl Scene {
    async fn start(records: u64, data: Option<&Path>) -> Self {
        let (clerk, marshal) = (Double::clerk().await.unwrap(), Double::marshal().await.unwrap());
        for n in 1..=records {
            let applicant = refused(n).then(|| phone(n));
            let permit = json!({
                "permit_no": number(n), "location": { "address": address(n) }, "applicant": applicant,
                "status": "pending", "notes": born(n, 0), "inspector": null,
            });
            clerk.create(&permit).unwrap();
        }
        let urls = [("CLERK_URL", clerk.url()), ("MARSHAL_URL", marshal.url())];
        let env = urls.each_ref().map(|(name, url)| (*name, url.as_str()));
        let mut program = Program::new("tests/personal.yaml", &env);
        if let Some(data) = data {
            program.keep_in(data);
        }
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut scene = Self { clerk, marshal, program, http, records };
        scene.run().await;
        scene
    }

    async fn run(&mut self) {
        self.program.start_telling(&["--events", "--verbose"]);
        until("it answers", 30, || async {
            let health = self.http.get(format!("{}/healthz", self.program.access()?.0)).send().await.ok()?;
            health.status().is_success().then_some(())
        })
        .await;
        let there = (1..=self.records).filter(|n| !refused(*n)).count();
        until("the marshal has what it takes", 30, || async { (self.marshal.len() >= there).then_some(()) })
            .await;
    }

    fn inspection(&self, n: u64) -> Json {
        self.marshal.find(&number(n)).pop().expect("an inspection")
    }

    fn permit(&self, n: u64) -> String {
        self.clerk.find(&number(n)).pop().expect("a permit")["id"].to_string()
    }

    /// Birthdays change on either side, and on both at once.
    async fn edits(&self, until_n: u64) {
        for n in (1..=until_n).filter(|n| !refused(*n)) {
            let at_marshal = self.inspection(n)["id"].as_str().unwrap().to_owned();
            if n % 3 != 1 {
                self.clerk.update(&self.permit(n), &json!({ "notes": born(n, 1) })).unwrap();
            }
            if n % 3 != 2 {
                self.marshal.update(&at_marshal, &json!({ "remarks": born(n, 2) })).unwrap();
            }
        }
        self.equal("edits arrive", until_n).await;
    }

    async fn equal(&self, what: &str, until_n: u64) {
        until(what, 30, || async {
            let same = |n: u64| {
                let permit = self.clerk.find(&number(n)).pop().unwrap();
                permit["notes"] == self.inspection(n)["remarks"]
            };
            (1..=until_n).filter(|n| !refused(*n)).all(same).then_some(())
        })
        .await;
    }

    /// The clerk tells by itself from now on.
    async fn webhooks(&self) {
        let (url, _) = self.program.access().unwrap();
        let secret = "whsec_ZGVtby1zZWNyZXQtZGVtby1zZWNyZXQ=".to_owned();
        self.clerk.set_hook(Some(&Hook { url: format!("{url}/hooks/clerk"), secret })).unwrap();
        self.clerk.update(&self.permit(1), &json!({ "notes": born(1, 3) })).unwrap();
        self.equal("what a webhook told arrives", 1).await;
    }

    async fn parked(&self) -> Vec<Json> {
        self.program.ask(&["parked", "FILE", "list", "--json"]).await.as_array().unwrap().clone()
    }

    async fn erase(&self, n: u64) {
        let (url, token) = self.program.access().unwrap();
        let body =
            json!({ "record": format!("permit/{}", number(n)), "by": "registry", "reason": "file 7/2026" });
        let asked =
            self.http.post(format!("{url}/api/erase")).bearer_auth(token).json(&body).send().await.unwrap();
        let (status, answer) = (asked.status(), asked.text().await.unwrap());
        assert!(status.is_success(), "{n}: {status} {answer}");
    }

    async fn tells_of(&self, n: u64) -> String {
        let name = format!("permit/{}", number(n));
        let history = self.program.ask_text(&["history", "FILE", &name, "--json"]).await;
        let explain = self.program.ask_text(&["explain", "FILE", &name, "--json"]).await;
        let mut told = [history, explain].concat();
        for words in [
            ["history", "FILE", &name].as_slice(),
            &["explain", "FILE", &name],
            &["explain", "FILE", &name, "born"],
            &["as-of", "FILE", &name, "now"],
            &["diff", "FILE", &name, "v0", "now"],
            &["log", "FILE", "list", "--record", &name],
        ] {
            told += &self.program.ask_text(words).await;
        }
        told
    }
}

fn files(dir: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, all) } else { all.push(path) }
    }
}

/// Every byte that the sync keeps: its files as they lie, and what is packed in them.
fn kept(data: &Path, others: &[PathBuf]) -> BTreeMap<String, Vec<u8>> {
    let mut all = others.to_vec();
    files(data, &mut all);
    let mut kept: BTreeMap<String, Vec<u8>> =
        all.into_iter().map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect();
    let log = Log::open(data, Options::default()).unwrap();
    let mut unpacked = Vec::new();
    for seq in 1..=log.head() {
        let (id, event) = log.events(seq, 1).unwrap().remove(0);
        unpacked.extend(rmp_serde::to_vec_named(&event).unwrap());
        unpacked.extend(id.0);
    }
    kept.insert("events".into(), unpacked);
    let (mut views, mut after) = (Vec::new(), None);
    loop {
        let page = log.views(b"", after.as_deref(), 512).unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        page.into_iter().for_each(|(key, value)| views.extend([key, value].concat()));
    }
    assert!(!views.is_empty());
    kept.insert("views".into(), views);
    kept
}

fn assert_absent(needles: &Needles, kept: &BTreeMap<String, Vec<u8>>) {
    for (place, bytes) in kept {
        let found = needles.found_in(bytes);
        assert!(found.is_empty(), "{place} holds {found:?}");
    }
}

/// Record keys and epoch keys, read from the files as `docs/format.md` describes them.
fn keys(data: &Path) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let epochs = std::fs::read(data.join("keys/epoch")).unwrap();
    let table = std::fs::read(data.join("keys/table")).unwrap();
    let slots = epochs.chunks(4096).filter(|slot| slot.starts_with(b"hms-sync epoch 1"));
    let epoch_keys: Vec<Vec<u8>> = slots.map(|slot| slot[24..56].to_vec()).collect();
    let wrapped = table[40..].chunks_exact(104).map(|entry| {
        let place = [b"hms-sync record key 1".as_slice(), &entry[..24]].concat();
        let nonce: [u8; 24] = entry[24..48].try_into().unwrap();
        let payload = || Payload { msg: &entry[48..96], aad: &place };
        let unwrap = |key: &Vec<u8>| {
            let key: [u8; 32] = key.as_slice().try_into().unwrap();
            XChaCha20Poly1305::new(&key.into()).decrypt(&nonce.into(), payload()).ok()
        };
        epoch_keys.iter().find_map(unwrap).expect("a key that can be unwrapped")
    });
    (wrapped.collect(), epoch_keys)
}

/// Hashes of everything that somebody who guesses would try: each day of the dictionary
/// alone, as JSON, as the log would encode it, and inside what a side showed of a record:
/// of just these bytes an edit has a hash, which must be keyed.
fn guesses(shown: &[Json]) -> Needles {
    let mut needles = Needles::new();
    let mut add = |bytes: &[u8], name: &str| {
        // A part of a hash would do to confirm a guess.
        needles.add(&blake3::hash(bytes).as_bytes()[..8], name);
        needles.add(&Sha256::digest(bytes)[..8], name);
    };
    for n in 0..DICTIONARY {
        let day = day(n);
        add(day.as_bytes(), &day);
        add(json!(day).to_string().as_bytes(), &day);
        add(&rmp_serde::to_vec(&day).unwrap(), &day);
        add(&rmp_serde::to_vec_named(&hms_sync_model::Value::text(day.as_str())).unwrap(), &day);
        for record in shown {
            let mut guess = record.clone();
            let field = if guess.get("notes").is_some() { "notes" } else { "remarks" };
            guess[field] = day.as_str().into();
            add(guess.to_string().as_bytes(), &day);
        }
    }
    needles
}

fn needles_of(records: impl Iterator<Item = u64>) -> Needles {
    let mut needles = Needles::new();
    records.flat_map(values).for_each(|value| needles.add_text(&value));
    needles
}

/// Guards the guards: what is looked for is found where it is.
#[test]
fn needles_are_found_in_every_encoding() {
    let mut needles = Needles::new();
    needles.add_text(&address(1));
    let hex = address(1).bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let base64 = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
    for text in [
        format!("x{}y", address(1)),
        format!("0{hex}"),
        base64(format!("x{}", address(1))),
        base64(format!("xy{} and more", address(1))),
        base64(format!("xyz{}", address(1))),
        "q=Hemlock%20Crescent%20700001".to_owned(),
        "q=Hemlock+Crescent+700001".to_owned(),
    ] {
        assert!(!needles.found_in(text.as_bytes()).is_empty(), "{text}");
    }
    let wide: Vec<u8> = address(1).encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(!needles.found_in(&wide).is_empty());
    let shown = json!({ "id": 1, "notes": "" });
    let guess = json!({ "id": 1, "notes": day(77) }).to_string();
    assert_eq!(guesses(&[shown]).found_in(blake3::hash(guess.as_bytes()).as_bytes()), [day(77)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_erasures_leave_nothing_of_them() {
    const RECORDS: u64 = 240;
    let mut scene = Scene::start(RECORDS, None).await;
    scene.edits(130).await;
    scene.webhooks().await;
    let parked = until("what the marshal refuses is parked", 30, || async {
        Some(scene.parked().await).filter(|parked| parked.len() as u64 == RECORDS / 20)
    })
    .await;
    assert!(parked[0]["words"].as_str().unwrap().starts_with("answered 4"), "{:?}", parked[0]);
    // Opened for whoever asks about a record: the side's words with the value in them.
    assert!(scene.tells_of(20).await.contains(&phone(20)), "the marshal told what it was given");
    assert!(scene.tells_of(8).await.contains(&born(8, 1)));
    let (keys_before, epochs_before) = keys(&scene.program.data());
    assert_eq!((keys_before.len() as u64, epochs_before.len()), (RECORDS, 1));
    let shown: Vec<Json> = [3, 4]
        .into_iter()
        .flat_map(|n| [scene.clerk.find(&number(n)).remove(0), scene.inspection(n)])
        .collect();
    erase_a_hundred(&mut scene).await;
    nothing_comes_back(&mut scene).await;
    let data = scene.program.data();
    let (keys_after, epochs_after) = keys(&data);
    assert_eq!((keys_after.len() as u64, epochs_after.len()), (RECORDS - 100, 1));
    let told = std::fs::read_to_string(scene.program.events()).unwrap();
    assert!(told.lines().count() > 500 && told.contains("(personal)"), "it tells, and masks: {told:.400}");
    let export = exported(&scene).await;
    let kept = kept(&data, &[scene.program.events(), data.with_file_name("log"), export]);
    // Of nobody is any value anywhere; of those erased, no key, nor the one that wrapped it.
    assert_absent(&needles_of(1..=RECORDS), &kept);
    let mut secrets = Needles::new();
    for key in keys_before.iter().filter(|key| !keys_after.contains(key)).chain(&epochs_before) {
        secrets.add(key, "a destroyed key");
        secrets.add_bytes_encoded(key, "a destroyed key");
    }
    keys_after.iter().for_each(|key| secrets.add(key, "an open record key"));
    assert_absent(&secrets, &kept);
    assert_absent(&guesses(&shown), &kept);
}

/// All of the log for an auditor: sound, as it was hashed.
async fn exported(scene: &Scene) -> PathBuf {
    let export = scene.program.data().with_file_name("all.jsonl");
    let path = export.to_str().unwrap();
    scene.program.ask_text(&["audit", "FILE", "export", "--out", path]).await;
    let key = scene.program.ask(&["audit", "FILE", "key", "--json"]).await;
    let key = key["key"].as_str().expect("a verifier key").to_owned();
    let told = scene.program.ask_text(&["audit", path, "verify", "--key", &key]).await;
    assert!(told.starts_with("sound"), "{told}");
    export
}

/// Over the API, by command, and by command where nobody runs the sync.
async fn erase_a_hundred(scene: &mut Scene) {
    for n in 1..=94 {
        scene.erase(n).await;
    }
    for n in 95..=97 {
        let name = format!("permit/{}", number(n));
        let told =
            scene.program.ask_text(&["audit", "FILE", "erase", &name, "--reason", "file 8/2026"]).await;
        assert!(told.starts_with("erased: address, born, phone of "), "{told}");
    }
    passed_over(scene).await;
    scene.program.kill().await;
    // Nobody runs it: the command does it by itself.
    for n in 98..=100 {
        let name = format!("permit/{}", number(n));
        scene.program.ask_text(&["audit", "FILE", "erase", &name, "--reason", "file 9/2026"]).await;
    }
    let again =
        scene.program.refused(&["audit", "FILE", "erase", "permit/P-000098", "--reason", "again"]).await;
    assert!(again.contains("were erased at") && again.contains("already: file 9/2026"), "{again}");
    let nobody = scene.program.refused(&["audit", "FILE", "erase", "permit/P-999999", "--reason", "x"]).await;
    assert!(nobody.contains("no record goes by the name"), "{nobody}");
    scene.run().await;
}

async fn nothing_comes_back(scene: &mut Scene) {
    // A full listing of both sides brings nothing back.
    for side in ["clerk", "marshal"] {
        scene.program.ask_text(&["poll", "FILE", side, "permit", "--full"]).await;
    }
    scene
        .clerk
        .update(&scene.permit(scene.records - 1), &json!({ "notes": born(scene.records - 1, 3) }))
        .unwrap();
    until("life goes on", 30, || async {
        (scene.inspection(scene.records - 1)["remarks"] == born(scene.records - 1, 3)).then_some(())
    })
    .await;
    let erased = needles_of(1..=100);
    for n in [1, 20, 40, 95, 99] {
        let told = scene.tells_of(n).await;
        assert_eq!(erased.found_in(told.as_bytes()), Vec::<String>::new(), "{n}: {told}");
        assert!(told.contains("(erased)") && told.contains("erased address, born, phone: file"), "{told}");
    }
    let asked = [["status", "FILE", "--json"].as_slice(), &["parked", "FILE", "list", "--json"]];
    for words in asked {
        assert_eq!(erased.found_in(scene.program.ask_text(words).await.as_bytes()), Vec::<String>::new());
    }
    assert!(scene.tells_of(101).await.contains(&address(101)), "others still open");
    scene.program.stop().await;
    assert!(scene.tells_of(130).await.contains(&address(130)), "also from the log alone");
    scene.program.ask_text(&["audit", "FILE", "verify"]).await;
}

/// What a side shows in closed fields is passed over; all others go on.
async fn passed_over(scene: &Scene) {
    for n in [2, 5, 9] {
        let before = scene.inspection(n)["remarks"].clone();
        scene.clerk.update(&scene.permit(n), &json!({ "notes": born(n, 3) })).unwrap();
        scene.clerk.update(&scene.permit(n), &json!({ "status": "approved" })).unwrap();
        until("an open field still travels", 30, || async {
            (scene.inspection(n)["state"] == "OK").then_some(())
        })
        .await;
        assert_eq!(scene.inspection(n)["remarks"], before, "a closed one does not");
        let id = scene.inspection(n)["id"].as_str().unwrap().to_owned();
        scene.marshal.update(&id, &json!({ "remarks": born(n, 2), "inspector": "Ines" })).unwrap();
        until("and back", 30, || async {
            let permit = scene.clerk.find(&number(n)).pop()?;
            (permit["inspector"] == "Ines").then_some(())
        })
        .await;
        assert_eq!(scene.clerk.find(&number(n))[0]["notes"], born(n, 3));
    }
}

/// A file system of its own in a file, mounted until dropped.
struct Image {
    file: PathBuf,
    at: PathBuf,
    mounted: bool,
}

fn run(program: &str, words: &[&str]) {
    let needs = "this test looks at the raw bytes of a file system: it needs root, `mount`, loop devices and \
                 `mkfs.ext4` (Debian: apt-get install e2fsprogs mount)";
    let done =
        Command::new(program).args(words).output().unwrap_or_else(|why| panic!("{program}: {why}; {needs}"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {words:?}: {said}; {needs}");
}

impl Image {
    fn new(folder: &Path, bytes: u64) -> Self {
        let (file, at) = (folder.join("image"), folder.join("mounted"));
        std::fs::File::create(&file).unwrap().set_len(bytes).unwrap();
        std::fs::create_dir(&at).unwrap();
        run("mkfs.ext4", &["-q", file.to_str().unwrap()]);
        run("mount", &["-o", "loop", file.to_str().unwrap(), at.to_str().unwrap()]);
        Self { file, at, mounted: true }
    }

    /// Every block as it lies.
    fn bytes(mut self) -> Vec<u8> {
        run("umount", &[self.at.to_str().unwrap()]);
        self.mounted = false;
        std::fs::read(&self.file).unwrap()
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.mounted {
            // The test has failed already.
            let _status = Command::new("umount").arg("-l").arg(&self.at).status();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_raw_blocks_of_the_file_system_tell_nothing() {
    const RECORDS: u64 = 60;
    let folder = TempDir::new().unwrap();
    let image = Image::new(folder.path(), 128 << 20);
    let data = image.at.join("data");
    let mut scene = Scene::start(RECORDS, Some(&data)).await;
    scene.edits(30).await;
    let (keys_before, epochs_before) = keys(&data);
    // What is there so far has reached the disk when some of it is erased.
    run("sync", &["-f", data.to_str().unwrap()]);
    for n in 1..=20 {
        scene.erase(n).await;
    }
    scene.program.stop().await;
    let (keys_after, epochs_after) = keys(&data);
    assert_eq!((keys_before.len(), keys_after.len()), (60, 40));
    let blocks = image.bytes();
    let mut needles = needles_of(1..=RECORDS);
    for key in keys_before.iter().filter(|key| !keys_after.contains(key)).chain(&epochs_before) {
        needles.add(key, "a destroyed key");
    }
    assert_eq!(needles.found_in(&blocks), Vec::<String>::new());
    assert_eq!(guesses(&[]).found_in(&blocks), Vec::<String>::new());
    // The epoch key in use is there: what is looked for would be found.
    let mut there = Needles::new();
    there.add(&epochs_after[0], "the epoch key in use");
    assert!(!there.found_in(&blocks).is_empty());
}
