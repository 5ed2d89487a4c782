//! Listings of which the side says where the next page is: every way to say it, every
//! way to send it back, and every way for it to go wrong.

use crate::sides::{Answering, Heard, Said, collection, ids, pass, plain, shelf, try_connector};
use hms_sync_connector::{Connector, PageToken, ReadRequest, Scope};
use serde_json::{Value as Json, json};

const ALL: usize = 25;

/// Ten records a page; the token names the first of the next.
fn page(from: usize) -> (Vec<Json>, Option<String>) {
    let next = from + 10;
    (shelf(from, 10, ALL), (next < ALL).then(|| format!("t{next}")))
}

fn place(token: Option<&str>) -> usize {
    token.map_or(0, |token| token.trim_start_matches('t').parse().unwrap())
}

async fn everything(read: &Json, answer: fn(&Heard) -> Said) -> (Answering, Result<usize, String>) {
    let side = Answering::with(answer).await;
    let seen = pass(&side.read(read), Scope::Everything, || {}).await;
    let seen = seen.map_err(|e| e.to_string()).map(|(seen, _)| {
        let expected: Vec<String> = (0..seen.len()).map(|n| n.to_string()).collect();
        assert_eq!(ids(&seen), expected);
        seen.len()
    });
    (side, seen)
}

#[tokio::test]
async fn a_side_is_not_told_how_many_are_wanted_if_nothing_names_it() {
    fn answer(heard: &Heard) -> Said {
        let number = |name: &str| heard.query.get(name).and_then(|text| text.parse::<usize>().ok());
        let from = number("offset").or(number("page").map(|page| page * 10)).unwrap_or(0);
        plain(json!({ "items": page(from).0 }))
    }
    for paginator in [
        json!({ "type": "offset", "limit_param": "" }),
        json!({ "type": "page", "page_size": 2, "page_size_param": "", "start_from": 0 }),
    ] {
        let side = Answering::with(answer).await;
        let read = side.read(&json!({ "path": "/p", "paginator": paginator }));
        let (seen, _) = pass(&read, Scope::Everything, || {}).await.unwrap();
        let seen: std::collections::BTreeSet<String> = ids(&seen).into_iter().collect();
        assert_eq!(seen.len(), ALL, "{paginator}");
        assert!(side.heard().iter().all(|heard| heard.query.len() == 1), "{paginator}");
    }
}

#[tokio::test]
async fn tokens_come_and_go_in_every_place() {
    fn token(heard: &Heard) -> Option<&str> {
        let body = heard.body.pointer("/page/after").or_else(|| heard.body.pointer("/after"));
        let path = heard.path.strip_prefix("/api/p/").filter(|rest| rest.starts_with('t'));
        let query = heard.query.get("cursor").or_else(|| heard.query.get("after")).map(String::as_str);
        body.and_then(Json::as_str).or(query).or_else(|| heard.header("x-after")).or(path)
    }
    fn answer(heard: &Heard) -> Said {
        let (items, next) = page(place(token(heard)));
        let headers = next.iter().map(|next| ("x-next", next.clone())).collect();
        (headers, json!({ "items": items, "meta": { "next": next } }).to_string())
    }
    let says = [
        json!({ "cursor_path": "meta.next" }),
        json!({ "cursor_header": "X-Next" }),
        json!({ "cursor_value": "{{ response.meta.next }}" }),
        json!({ "cursor_value": "headers['x-next']" }),
        json!({ "cursor_value": "'t' ~ (last_record.id + 1)", "page_size": 10, "stop_condition": "last_page_size < page_size" }),
    ];
    let sent = [
        (json!({}), json!({ "path": "/p" })),
        (json!({ "cursor_param": "after" }), json!({ "path": "/p" })),
        (
            json!({ "page_token_option": { "inject_into": "header", "field_name": "X-After" } }),
            json!({ "path": "/p" }),
        ),
        (
            json!({ "page_token_option": { "inject_into": "body_json", "field_path": ["page", "after"] } }),
            json!({ "path": "/p", "http_method": "POST", "request_body_json": { "page": { "size": 10 } } }),
        ),
        (
            json!({}),
            json!({ "path": "/p", "http_method": "POST", "request_body_json": { "after": "{{ next_page_token }}" } }),
        ),
        (json!({}), json!({ "path": "/p{% if next_page_token %}/{{ next_page_token }}{% endif %}" })),
    ];
    for says in &says {
        for (sent, read) in &sent {
            let mut read = read.clone();
            read["paginator"] = json!({ "type": "cursor" });
            for part in [says, sent] {
                read["paginator"].as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
            }
            let (side, seen) = everything(&read, answer).await;
            assert_eq!(seen, Ok(ALL), "{read}");
            let heard = side.heard();
            assert_eq!(
                heard.iter().map(|heard| place(token(heard))).collect::<Vec<_>>(),
                [0, 10, 20],
                "{read}"
            );
            assert_eq!(token(&heard[0]), None, "nothing is sent for the first page: {read}");
        }
    }
}

#[tokio::test]
async fn links_lead_on_and_bring_their_own_parameters() {
    fn answer(heard: &Heard) -> Said {
        let from = heard.number("from").unwrap_or(0);
        let (items, next) = page(from);
        let next = next.map(|next| next.trim_start_matches('t').to_owned());
        // Seen from the address that was asked, or from the side's root.
        let next =
            next.map(|next| if from == 0 { format!("?from={next}") } else { format!("/api/p/?from={next}") });
        let headers = match &next {
            Some(next) => vec![
                ("link", "</api/p>; rel=\"first\", </api/q>; rel=\"last\"".to_owned()),
                ("link", format!("<{next}>; title=\"a, b\"; rel=\"next\"")),
            ],
            None => vec![("link", "</api/p>; rel=\"first\"".to_owned())],
        };
        (headers, json!({ "items": items, "next": next, "paging": { "next_page": next } }).to_string())
    }
    for paginator in [
        json!({ "type": "link_header", "page_size": 10 }),
        json!({ "type": "header_link", "links_next_key": "next", "page_size": 10, "limit_param": "per_page" }),
        json!({ "type": "next_url", "page_size": 10, "limit_param": "per_page" }),
        json!({ "type": "json_link", "next_url_path": "paging.next_page", "page_size": 10, "limit_param": "per_page" }),
    ] {
        let read = json!({ "path": "/p", "request_parameters": { "state": "all" }, "paginator": paginator });
        let (side, seen) = everything(&read, answer).await;
        assert_eq!(seen, Ok(ALL), "{read}");
        let heard = side.heard();
        assert_eq!((heard[0].query["state"].as_str(), heard[0].number("per_page")), ("all", Some(10)));
        assert_eq!(heard[1].query.len(), 1, "a link is taken as it is: {:?}", heard[1]);
        assert_eq!(heard.len(), 3);
    }
}

#[tokio::test]
async fn links_that_lead_away_are_not_followed() {
    fn away(heard: &Heard) -> Said {
        let to = heard.query["to"].clone();
        (
            vec![("link", format!("<{to}>; rel=next"))],
            json!({ "items": shelf(0, 3, 9), "next": to }).to_string(),
        )
    }
    for to in [
        "http://169.254.169.254/latest",
        "//evil.example/api/p",
        "/admin",
        "/api/../admin",
        "https://127.0.0.1/api/p",
    ] {
        for kind in ["link_header", "next_url"] {
            let read =
                json!({ "path": "/p", "request_parameters": { "to": to }, "paginator": { "type": kind } });
            let (side, seen) = everything(&read, away).await;
            let said = seen.unwrap_err();
            assert!(said.contains("which is not below http://127.0.0.1"), "{to}: {said}");
            assert_eq!(side.heard().len(), 1);
        }
    }
    // Nor where the token of a page is tampered with, or comes from another config.
    let side = Answering::with(away).await;
    let here = json!({ "path": "/p", "request_parameters": { "to": "/api/q" }, "paginator": { "type": "next_url" } });
    let connector = side.read(&here);
    let request = |after| ReadRequest { collection: collection(), scope: Scope::Everything, after };
    let token = connector.read(request(None)).await.unwrap().next.unwrap();
    let bent = PageToken(token.0.replace("/api/q", "/elsewhere"));
    assert_ne!(bent, token);
    let said = connector.read(request(Some(bent))).await.unwrap_err().to_string();
    assert!(said.contains("GET /p: a page token that is not ours"), "{said}");
}

#[tokio::test]
async fn what_goes_round_or_on_and_on_is_told() {
    fn same(_: &Heard) -> Said {
        plain(json!({ "items": shelf(0, 10, ALL), "next": "t10" }))
    }
    fn endless(heard: &Heard) -> Said {
        let from = place(heard.query.get("cursor").map(String::as_str));
        plain(json!({ "items": shelf(from, 10, 1_000_000), "next": format!("t{}", from + 10) }))
    }
    fn round(heard: &Heard) -> Said {
        let from = place(heard.query.get("cursor").map(String::as_str));
        plain(json!({ "items": shelf(from, 10, ALL), "next": format!("t{}", (from + 10) % 30) }))
    }
    let cursor = |more: Json| {
        let mut paginator = json!({ "type": "cursor", "cursor_path": "next" });
        paginator.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "path": "/p", "paginator": paginator })
    };
    let (_, seen) = everything(&cursor(json!({})), same).await;
    let said = seen.unwrap_err();
    assert!(said.contains("GET /p: page 2 shows the same records") && said.contains("`t10`"), "{said}");
    let (side, seen) = everything(&cursor(json!({ "max_pages": 5 })), endless).await;
    let said = seen.unwrap_err();
    assert!(said.contains("goes on after 5 pages, now at `t50`"), "{said}");
    assert_eq!(side.heard().len(), 6);
    let (side, seen) = everything(&cursor(json!({})), round).await;
    assert!(seen.unwrap_err().contains("goes round"));
    assert!(side.heard().len() < 12);
    let pages = json!({ "path": "/p", "paginator": { "type": "page", "page_size": 10 } });
    let (_, seen) = everything(&pages, numbered).await;
    assert!(seen.unwrap_err().contains("page 6: the same page comes again and again"));
}

/// The same page, whatever was asked for.
fn numbered(_: &Heard) -> Said {
    plain(json!({ "items": shelf(0, 10, ALL) }))
}

/// As Stripe does it: on from the last record, as long as there is more.
fn after(heard: &Heard) -> Said {
    let from = heard.number("starting_after").map_or(0, |last| last + 1);
    plain(json!({ "data": shelf(from, 10, ALL), "has_more": from + 10 < ALL }))
}

#[tokio::test]
async fn flags_end_listings_and_keep_them_going() {
    // Pages are cut to seven, so that a short page is no end, and a full one may be.
    fn answer(heard: &Heard) -> Said {
        let from =
            heard.number("offset").unwrap_or_else(|| heard.number("page").map_or(0, |page| (page - 1) * 7));
        plain(json!({ "data": shelf(from, 7, 21), "has_more": from + 7 < 21 }))
    }
    for (paginator, requests) in [
        (json!({ "type": "offset", "page_size": 10, "has_more_path": "has_more" }), 4),
        (json!({ "type": "page_number", "page_size": 7, "has_more_path": "has_more" }), 3),
    ] {
        let side = Answering::with(answer).await;
        let read = json!({ "path": "/p", "paginator": paginator });
        let (seen, _) = pass(&side.read(&read), Scope::Everything, || {}).await.unwrap();
        let all: std::collections::BTreeSet<_> = ids(&seen).into_iter().collect();
        assert_eq!((all.len(), side.heard().len()), (21, requests), "{read}");
    }
    let stripe = json!({ "path": "/p", "paginator": {
        "type": "CursorPagination", "cursor_value": "{{ last_record['id'] }}", "has_more_path": "has_more",
        "cursor_param": "starting_after",
    }});
    let (side, seen) = everything(&stripe, after).await;
    assert_eq!((seen, side.heard().len()), (Ok(ALL), 3));
    let stop = json!({ "path": "/p", "paginator": {
        "type": "cursor", "cursor_value": "last_record.id", "stop_condition": "{{ not response.has_more }}",
        "cursor_param": "starting_after",
    }});
    assert_eq!(everything(&stop, after).await.1, Ok(ALL));
}

/// A wrong path must not make one page look like everything there is: what is not on
/// it would count as deleted.
#[tokio::test]
async fn a_listing_cut_short_by_a_wrong_path_is_told() {
    fn counted(_: &Heard) -> Said {
        plain(json!({ "items": shelf(0, 10, ALL), "total": ALL, "next": "t10" }))
    }
    let wrong = json!({ "path": "/p", "paginator": { "type": "cursor", "cursor_path": "nxt" } });
    let said = everything(&wrong, counted).await.1.unwrap_err();
    assert!(said.contains("page 1 shows 10 of 25 records and does not say where the next page is"), "{said}");
    let object = json!({ "path": "/p", "record_selector": { "field_path": "items" },
        "paginator": { "type": "cursor", "cursor_path": "items" } });
    let said = everything(&object, counted).await.1.unwrap_err();
    assert!(said.contains("there is a list or an object"), "{said}");
}

#[tokio::test]
async fn a_scroll_keeps_its_token() {
    fn scroll(heard: &Heard) -> Said {
        let mut seen = 0;
        if let Some(token) = heard.query.get("scroll_id") {
            assert_eq!(token, "s");
            seen = heard.number("n").unwrap();
        }
        plain(json!({ "hits": shelf(seen, 10, ALL), "_scroll_id": "s" }))
    }
    // Which page it is, the side remembers; here, by the number of requests.
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let side = Answering::with(move |heard: &Heard| {
        let page = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let mut heard = heard.clone();
        heard.query.insert("n".to_owned(), (page * 10).to_string());
        scroll(&heard)
    })
    .await;
    let read = json!({ "path": "/p", "record_selector": { "field_path": "hits" },
        "paginator": { "type": "cursor", "cursor_path": "_scroll_id", "cursor_param": "scroll_id" } });
    let (seen, _) = pass(&side.read(&read), Scope::Everything, || {}).await.unwrap();
    assert_eq!((seen.len(), side.heard().len()), (ALL, 4));
}

#[test]
fn names_of_airbyte_and_dlt_are_known() {
    for paginator in [
        json!({ "type": "NoPagination" }),
        json!({ "type": "single_page" }),
        json!({ "type": "OffsetIncrement", "page_size": 5 }),
        json!({ "type": "offset", "limit": 5 }),
        json!({ "type": "PageIncrement", "start_from_page": 0 }),
        json!({ "type": "page_number", "base_page": 0 }),
        json!({ "type": "CursorPagination", "cursor_value": "{{ response.get('next', {}).get('after') }}" }),
        json!({ "type": "cursor", "cursor_path": "cursors.next", "cursor_param": "after" }),
        json!({ "type": "header_cursor", "cursor_key": "next", "cursor_param": "after" }),
        json!({ "type": "header_link", "links_next_key": "next" }),
        json!({ "type": "json_link", "next_url_path": "paging.next" }),
    ] {
        let permits = json!({ "read": { "path": "/p", "paginator": paginator } });
        try_connector(&json!({ "url": "http://h" }), &permits).unwrap_or_else(|e| panic!("{paginator}: {e}"));
    }
}

#[test]
fn paginators_that_do_not_fit_are_told() {
    for (paginator, said) in [
        (json!({ "type": "cursor" }), "`permit.read.paginator`: needs one of `cursor_path`"),
        (json!({ "type": "cursor", "cursor_path": "a", "cursor_header": "b" }), "has more than one of"),
        (json!({ "type": "cursor", "cursor_header": "a b" }), "`a b` is no name of a header"),
        (json!({ "type": "cursor", "cursor_value": "{{ respons.a }}" }), "names `respons`"),
        (json!({ "type": "cursor", "cursor_value": "a b" }), "the expression cannot be used"),
        (
            json!({ "type": "cursor", "cursor_path": "a", "stop_condition": "record.x" }),
            "stop_condition`: the expression names `record`",
        ),
        (json!({ "type": "cursor", "cursor_path": "a", "page_size": 0 }), "page_size`: must be 1 at least"),
        (json!({ "type": "cursor", "cursor_path": "a", "max_pages": 0 }), "max_pages`: must be 1 at least"),
        (
            json!({ "type": "cursor", "cursor_path": "a", "page_token_option": { "inject_into": "body_json", "field_name": "a" } }),
            "page_token_option.inject_into`: a body needs `http_method: POST`",
        ),
        (
            json!({ "type": "cursor", "cursor_path": "a", "cursor_param": "b", "page_token_option": { "field_name": "a" } }),
            "one is enough",
        ),
        (json!({ "type": "cursor", "cursor_pat": "a" }), "unknown field `cursor_pat`"),
        (json!({ "type": "link_header", "cursor_path": "a" }), "unknown field `cursor_path`"),
        (json!({ "type": "auto" }), "unknown variant `auto`"),
    ] {
        let permits = json!({ "read": { "path": "/p", "paginator": paginator } });
        let error = try_connector(&json!({ "url": "http://h" }), &permits).unwrap_err();
        assert!(error.contains(said), "{error} does not say {said}");
    }
    let body = json!({ "read": { "path": "/p", "request_body_json": { "a": 1 } } });
    let error = try_connector(&json!({ "url": "http://h" }), &body).unwrap_err();
    assert!(error.contains("request_body_json`: needs `http_method: POST`"), "{error}");
}
