//! What a rehearsal costs, and that it goes the same way each time.

use crate::scene::Scene;
use crate::story::Story;
use std::time::Instant;

fn play() -> Story {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("status", "approved")]).edit("marshal", &[("status", "revoked")]).settle();
    story
}

/// `hms-sync test` plays hundreds of cases while somebody waits.
#[test]
fn a_hundred_cases_take_less_than_a_second() {
    let began = Instant::now();
    for _ in 0..100 {
        play();
    }
    let took = began.elapsed();
    eprintln!("100 cases in {took:?}");
    assert!(took.as_secs_f64() < 5.0, "{took:?}, and it is to be a fifth of that on a free machine");
}

#[test]
fn the_same_script_gives_the_same_history() {
    assert_eq!(play().play.timeline(), play().play.timeline());
}
