//! A collection that is listed parent by parent names a parent that there is.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use hms_sync_config::parse;

fn said(parent: &str) -> String {
    let yaml = format!(
        "sync: Boards
sides:
  hub: {{ connector: http, url: \"http://127.0.0.1:1\" }}
  desk: {{ connector: http, url: \"http://127.0.0.1:2\" }}
collections:
  board:
    identity: [number]
    sides:
      hub: {{ read: {{ path: /boards }} }}
      desk: {{ lookup: {{ path: /boards, request_parameters: {{ number: \"{{{{ identity.number }}}}\" }} }} }}
    fields:
      number: {{ type: string, hub: {{ path: number, direction: from_side }}, desk: {{ path: number, direction: from_side }} }}
  card:
    identity: [number]
    sides:
      hub:
        read:
          path: \"/boards/{{{{ stream_partition.board }}}}/cards\"
          partition_router:
            type: substream
            parent_stream: {parent}
            partition_field: board
      desk: {{ read: {{ path: /cards }} }}
    fields:
      number: {{ type: string, hub: {{ path: number, direction: from_side }}, desk: {{ path: number, direction: from_side }} }}
"
    );
    parse("boards.yaml", &yaml, &|_| None).map_or_else(|errors| errors.to_string(), |_| "taken".to_owned())
}

#[test]
fn a_parent_is_a_collection_that_is_read_on_the_side() {
    assert_eq!(said("board"), "taken");
    assert_eq!(said("{ path: /boards }"), "taken");
    let wrong = said("bord");
    assert!(wrong.contains("boards.yaml:21:"), "{wrong}");
    assert!(wrong.contains("`parent_stream`: no collection `bord` is read on side `hub`"), "{wrong}");
    assert!(wrong.contains("did you mean `board`?"), "{wrong}");
    assert!(said("card").contains("is this collection itself"), "{}", said("card"));
    assert!(said("{ path: /boards, pth: x }").contains("unknown key `pth`"), "{}", said("{ pth: x }"));
}
