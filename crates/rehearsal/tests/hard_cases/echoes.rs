//! Our own writes coming back, and edits that agree.

use crate::scene::Scene;
use crate::story::Story;

#[test]
fn an_edit_reaches_the_other_side_and_its_echo_is_no_event() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("status", "approved")]).settle().expect(
        "2 clerk   poll   permit/7 status=approved -> edited #4
         2 marshal update permit/7 status=approved <- applied #6",
    );
    story.all_hold("no=7 note=a status=approved");
}
