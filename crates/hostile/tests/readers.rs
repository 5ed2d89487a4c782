//! Readers that are harmed by few of all cases are found, with the case; those that are not
//! see all of them, the same ones each time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests may panic"
)]

use hms_sync_hostile::Reader;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

fn reader() -> Reader {
    Reader::new("numbers").sound(["a=1;b=22", "a=4095"]).words(["=", ";", "a", "b"]).fewer(200_000)
}

fn harm(read: impl Fn(&str) -> bool + Sync) -> String {
    let why = catch_unwind(AssertUnwindSafe(|| reader().texts(read))).unwrap_err();
    *why.downcast::<String>().unwrap()
}

fn pairs(text: &str) -> bool {
    text.split(';').all(|pair| pair.split_once('=').is_some_and(|(_, value)| value.parse::<u16>().is_ok()))
}

#[test]
fn who_is_not_harmed_sees_all_cases() {
    let report = reader().texts(pairs);
    assert_eq!(report.cases, 200_000);
    assert!((2_000..180_000).contains(&report.taken), "{report:?}");
}

#[test]
fn cases_are_the_same_each_time_and_others_with_another_seed() {
    let all = |seed| {
        let seen = Mutex::new(BTreeSet::new());
        reader().fewer(5_000).seed(seed).texts(|text| {
            seen.lock().unwrap().insert(text.to_owned());
            pairs(text)
        });
        seen.into_inner().unwrap()
    };
    let (one, again, other) = (all(1), all(1), all(2));
    assert_eq!(one, again);
    assert!(one.len() > 3_000 && one.intersection(&other).count() < 2_000, "{}", one.len());
}

/// Kinds of mistakes that readers have; each is met by the cases, and told so that it can be met again.
#[test]
fn every_kind_of_harm_is_told_with_its_case() {
    type Read = fn(&str) -> bool;
    let slips: [(&str, Read); 6] = [
        ("sums overflow", |text| {
            let sum = text.bytes().filter(u8::is_ascii_digit).fold(0_u8, |sum, digit| sum + (digit - b'0'));
            sum > 0 && pairs(text)
        }),
        ("text is cut within a character", |text| text.len() < 4 || text[..3].len() == 3 && pairs(text)),
        ("a value is taken for granted", |text| {
            text.split(';').for_each(|pair| assert!(!pair.ends_with('=')));
            pairs(text)
        }),
        ("large numbers", |text| {
            let largest = text.split(['=', ';']).filter_map(|part| part.parse::<u128>().ok()).max();
            i64::try_from(largest.unwrap_or_default()).unwrap();
            pairs(text)
        }),
        ("much of one thing", |text| {
            assert!(text.matches(';').count() < 5_000);
            pairs(text)
        }),
        ("end without beginning", |text| {
            assert!(!text.starts_with(';'));
            pairs(text)
        }),
    ];
    for (what, read) in slips {
        let told = harm(read);
        assert!(told.starts_with("numbers: case 7:"), "{what}: {told}");
        assert!(told.contains("\nalone: HMS_SYNC_HOSTILE_CASE=7:"), "{what}: {told}");
    }
}

#[test]
fn a_case_that_takes_long_each_time_is_told_and_a_machine_that_was_away_is_not() {
    let slow = Duration::from_millis(10);
    let wait = || {
        let began = Instant::now();
        // Time at work counts, and other tests are at work too.
        while began.elapsed() < slow * 15 {}
    };
    let reader = || reader().fewer(1_000).patience(slow);
    let told = catch_unwind(AssertUnwindSafe(|| {
        reader().texts(|text| {
            if text.contains(";;") {
                wait();
            }
            pairs(text)
        })
    }));
    let told = *told.unwrap_err().downcast::<String>().unwrap();
    assert!(told.contains("case 7:"), "{told}");
    let away = Mutex::new(false);
    reader().texts(|text| {
        let was_away = text.contains(";;") && std::mem::replace(&mut *away.lock().unwrap(), true);
        if text.contains(";;") && !was_away {
            wait();
        }
        pairs(text)
    });
    assert!(*away.lock().unwrap());
}

#[test]
fn what_tests_nothing_is_told() {
    let nothing: [fn(&str) -> bool; 2] = [|_| true, |text| text == "a=4095" || text == "a=1;b=22 "];
    for read in nothing {
        let why = harm(read);
        assert!(why.contains("tests nothing") || why.contains("is not taken"), "{why}");
    }
}
