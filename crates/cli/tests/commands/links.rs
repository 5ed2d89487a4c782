//! A record and what a side has of it are taken apart and put together again by a person.

use crate::asking::conflicted;
use crate::bench::until;

#[test]
fn a_person_takes_a_record_apart_and_links_it_again() {
    let (bench, sync) = conflicted();
    until("all sides to agree", || bench.ask(&["conflicts", "list", "--json"]).out == "[]\n");
    let why = ["--reason", "not the same", "--by", "ann"];
    let apart = bench.ask(&[&["unlink", "clerk:2", "marshal"], &why[..]].concat());
    assert!(
        apart.out.contains("taken apart from marshal's") && apart.out.contains("by ann: not the same"),
        "{apart:?}"
    );
    let again = bench.ask(&[&["unlink", "clerk:2", "marshal"], &why[..]].concat());
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.err.contains("has no native record on marshal"), "{again:?}");
    assert!(bench.ask(&["as-of", "clerk:2", "now"]).out.contains("unlinked: nothing is brought there"));
    let preview = ["relink", "clerk:2", "marshal", "--preview"];
    until("marshal's record to be read", || bench.ask(&preview).out.contains("they do not differ"));
    assert_eq!(bench.ask(&["relink", "clerk:2", "marshal"]).code, 2, "a reason is asked for");
    assert_eq!(sync.stop().0, 0);
    let linked = bench.ask(&[&["relink", "clerk:2", "marshal"], &why[..]].concat());
    assert!(linked.out.contains("linked to marshal's"), "{linked:?}");
    assert!(linked.out.ends_with("it is brought to the sides when the sync runs\n"), "{linked:?}");
    let (other, none) = (["join", "clerk:2", "clerk:1"], ["join", "clerk:2", "clerk:2"]);
    let itself = bench.ask(&[&none[..], &why[..]].concat());
    assert!(itself.err.contains("two records of one collection"), "{itself:?}");
    let joined = bench.ask(&[&other[..], &why[..]].concat());
    assert!(joined.out.contains("one with permit/"), "{joined:?}");
}

#[test]
fn a_log_put_back_is_looked_at_before_anything_is_written() {
    let (bench, sync) = conflicted();
    until("all sides to agree", || bench.ask(&["conflicts", "list", "--json"]).out == "[]\n");
    assert_eq!(sync.stop().0, 0);
    let shown = bench.ask(&["run", "--restored"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.out.contains("nothing would be written: the sides agree"), "{shown:?}");
    let told = bench.ask(&["log", "list", "--kind", "restored"]);
    assert!(told.out.contains("the log was put back from a backup that ended with event"), "{told:?}");
}
