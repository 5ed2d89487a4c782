//! What a rehearsal costs, and that it goes the same way each time.

use crate::scene::Scene;
use crate::story::Story;
use std::time::Duration;

fn play() -> Story {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("status", "approved")]).edit("marshal", &[("status", "revoked")]).settle();
    story
}

/// How long this thread has worked: what others do on the machine meanwhile does not count.
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// `hms-sync test` plays hundreds of cases while somebody waits.
#[test]
fn a_hundred_cases_take_less_than_a_second() {
    let began = on_cpu();
    for _ in 0..100 {
        play();
    }
    let took = on_cpu().saturating_sub(began);
    eprintln!("100 cases in {took:?}");
    assert!(took.as_secs_f64() < 1.0, "{took:?}");
}

#[test]
fn the_same_script_gives_the_same_history() {
    assert_eq!(play().play.timeline(), play().play.timeline());
}
