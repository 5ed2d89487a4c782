//! How long it takes to refuse tells nothing: neither whether a path is one of ours, nor how much of
//! a secret or signature was right.
//!
//! Ten thousand tries of each kind in random order, so that what the machine does beside hits all
//! alike, and a rank test (Mann and Whitney) of each pair. What is noticed is far beyond chance
//! (p < 0.01 is 2.6 standard deviations), and must be in each of three attempts; what leaks is.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "tests may panic"
)]

use super::{HookRoute, Hooks, judge};
use bytes::Bytes;
use hms_sync_connector::{Connector, RawWebhook, WebhookError};
use hms_sync_http::HttpConnector;
use hms_sync_model::{CollectionName, SideName, Time};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Instant;

const TRIES: usize = 10_000;
/// So far apart they are where one is the slower of a pair in 55 of 100: less can be where things lie
/// in memory in one process, and is the same in each attempt.
const Z_TOLD: f64 = 12.25;
const ATTEMPTS: usize = 3;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TOKEN: &str = "a-token-of-64-characters-as-long-as-they-are-made-by-those-sides";
const MESSAGE: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const AT: i64 = 1_614_265_330;
const BODY: &str = "{\"test\": 2432232314}";

/// What somebody sends who wants to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Try {
    /// To a path that is nobody's, with something that is wrong.
    UnknownPath,
    /// Of the right length, and wrong.
    Wrong,
    /// All right but for its end.
    RightButForItsEnd,
}

const ALL: [Try; 3] = [Try::UnknownPath, Try::Wrong, Try::RightButForItsEnd];

/// A way in which senders are known: what is right, and the headers that show it.
struct Way {
    hooks: Hooks,
    right: &'static str,
    headers: fn(&str) -> Vec<(&'static str, String)>,
}

fn hooks(webhook: &serde_json::Value) -> Hooks {
    let collection = CollectionName::try_new("permit").unwrap();
    let permits =
        serde_json::json!({ "primary_key": "test", "webhook": webhook, "fetch": { "path": "/p/{{ id }}" } });
    let side = serde_json::from_value(serde_json::json!({ "url": "http://127.0.0.1:1" })).unwrap();
    let all = [(collection.clone(), serde_json::from_value(permits).unwrap())].into();
    let name = SideName::try_new("clerk").unwrap();
    let connector: Arc<dyn Connector> = Arc::new(HttpConnector::new(&name, side, all).unwrap());
    let path = "/hooks/clerk".to_owned();
    [(path.clone(), HookRoute { path, side: name, collection, connector })].into()
}

fn signed() -> Way {
    let headers = |given: &str| {
        let (id, at) = ("webhook-id", "webhook-timestamp");
        vec![(id, MESSAGE.to_owned()), (at, AT.to_string()), ("webhook-signature", format!("v1,{given}"))]
    };
    let right = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    Way { hooks: hooks(&serde_json::json!({ "path": "/hooks/clerk", "secret": SECRET })), right, headers }
}

fn shown() -> Way {
    let spec = serde_json::json!({
        "path": "/hooks/clerk", "secret": TOKEN, "signature": { "type": "bearer" },
    });
    Way {
        hooks: hooks(&spec),
        right: TOKEN,
        headers: |given| vec![("authorization", format!("Bearer {given}"))],
    }
}

impl Way {
    /// A guess, made anew for each try, and by the same steps whatever it is: letters that mean
    /// something in base64, and the end as it must be.
    fn guess(&self, kind: Try, rng: &mut fastrand::Rng) -> String {
        let right = self.right.as_bytes();
        let end = right.iter().rposition(|letter| *letter != b'=').unwrap();
        let kept = if kind == Try::RightButForItsEnd { end - 4 } else { 0 };
        let letters = right.iter().enumerate().map(|(n, letter)| {
            let other = if letter.is_ascii_lowercase() { b'A' } else { b'a' } + rng.u8(..26);
            // The last but padding may not be any letter: bits that stand for nothing would be left.
            if n < kept || n >= end { *letter } else { other }
        });
        String::from_utf8(letters.collect()).unwrap()
    }

    fn raw(&self, given: &str) -> RawWebhook {
        let header = |(name, value): (&'static str, String)| {
            (HeaderName::from_static(name), HeaderValue::try_from(value).unwrap())
        };
        let headers: HeaderMap = (self.headers)(given).into_iter().map(header).collect();
        RawWebhook::new(headers, Bytes::from_static(BODY.as_bytes()), Time(AT * 1_000_000))
    }

    /// Where it came to.
    fn route(&self, kind: Try) -> Option<&HookRoute> {
        self.hooks.get(if kind == Try::UnknownPath { "/hooks/other" } else { "/hooks/clerk" })
    }

    /// As it is judged. Who judges is chosen before: that is one step, and how long it takes follows
    /// from what the processor expected.
    fn refused(by: &HookRoute, raw: &RawWebhook) {
        assert!(matches!(by.connector.webhook(&by.collection, raw), Err(WebhookError::Unauthorised)));
    }

    /// The same by who knows no better.
    fn leaked(&self, route: Option<&HookRoute>, raw: &RawWebhook) {
        let Some(by) = route else { return };
        assert!(by.connector.webhook(&by.collection, raw).is_err());
        let name = (self.headers)("").pop().unwrap().0;
        let given = raw.headers[name].as_bytes();
        let right = (self.headers)(self.right).pop().unwrap().1;
        let same = right.bytes().zip(given).take_while(|(a, b)| std::hint::black_box(a == *b)).count();
        assert!(std::hint::black_box(same) < right.len());
    }

    /// How long each kind of try took, in nanoseconds.
    fn times(
        &self,
        seed: u64,
        judged: impl Fn(&Self, &HookRoute, Option<&HookRoute>, &RawWebhook),
    ) -> [Vec<u64>; 3] {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut order: Vec<usize> = (0..TRIES * ALL.len()).map(|n| n % ALL.len()).collect();
        rng.shuffle(&mut order);
        let mut times = [const { Vec::new() }; 3];
        let routes = ALL.map(|kind| self.route(kind));
        let by = routes.map(|route| judge(route, &self.hooks).unwrap());
        let before = self.raw(&self.guess(Try::Wrong, &mut rng));
        for kind in order {
            let raw = self.raw(&self.guess(ALL[kind], &mut rng));
            let (by, route) = (by[kind], routes[kind]);
            // So that the processor has just done the same, whatever comes now.
            Self::refused(by, &before);
            let began = Instant::now();
            judged(self, by, route, &raw);
            times[kind].push(u64::try_from(began.elapsed().as_nanos()).unwrap());
        }
        times
    }
}

/// How far the ranks of two samples are apart, in standard deviations of what they are by chance.
fn apart(a: &[u64], b: &[u64]) -> f64 {
    let mut all: Vec<(u64, bool)> =
        a.iter().map(|time| (*time, true)).chain(b.iter().map(|time| (*time, false))).collect();
    all.sort_unstable();
    let (mut ranks, mut ties, mut before) = (0.0, 0.0, 0.0);
    for same in all.chunk_by(|a, b| a.0 == b.0) {
        let count = same.len() as f64;
        let of_a = same.iter().filter(|(_, of_a)| *of_a).count() as f64;
        ranks += of_a * (before + f64::midpoint(count, 1.0));
        ties += count * count * count - count;
        before += count;
    }
    let (of_a, of_b) = (a.len() as f64, b.len() as f64);
    let wins = ranks - of_a * (of_a + 1.0) / 2.0;
    let all = of_a + of_b;
    let variance = of_a * of_b / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    (wins - of_a * of_b / 2.0) / variance.sqrt()
}

/// Each pair of kinds, and how far apart they are.
fn pairs(times: &[Vec<u64>; 3]) -> [(Try, Try, f64); 3] {
    [(0, 1), (0, 2), (1, 2)].map(|(a, b)| (ALL[a], ALL[b], apart(&times[a], &times[b])))
}

#[test]
fn how_long_it_takes_to_refuse_tells_nothing() {
    for (name, way) in [("signed", signed()), ("shown", shown())] {
        let attempts: Vec<_> = (0..ATTEMPTS as u64)
            .map(|seed| pairs(&way.times(seed, |_, by, _, raw| Way::refused(by, raw))))
            .collect();
        println!("{name}: {attempts:?}");
        for pair in 0..3 {
            let told = attempts.iter().all(|pairs| pairs[pair].2.abs() > Z_TOLD);
            assert!(!told, "{name}: how long it takes tells one from the other: {attempts:?}");
        }
    }
}

/// What the test is there for is noticed in each attempt.
#[test]
fn what_knows_no_better_is_noticed() {
    for (name, way) in [("signed", signed()), ("shown", shown())] {
        for seed in 0..ATTEMPTS as u64 {
            let pairs = pairs(&way.times(seed, |way, _, route, raw| way.leaked(route, raw)));
            println!("{name}: {pairs:?}");
            assert!(pairs.iter().all(|(.., apart)| apart.abs() > Z_TOLD), "{name}: {pairs:?}");
        }
    }
}

#[test]
fn ranks_are_compared_as_they_are_in_books() {
    // U is 4 of 20, where 10 is to be expected, with a variance of 4 * 5 * 10 / 12.
    let ranked = apart(&[1, 2, 4, 7], &[3, 5, 6, 8, 9]);
    assert!((ranked + 6.0 / (50.0_f64 / 3.0).sqrt()).abs() < 1e-9, "{ranked}");
    assert!(apart(&[1, 1, 2, 2], &[1, 1, 2, 2]).abs() < 1e-9);
    let (low, high): (Vec<u64>, Vec<u64>) = ((0..100).collect(), (50..150).collect());
    assert!(apart(&low, &high) < -5.0 && apart(&high, &low) > 5.0);
}
