//! A server's own description (OpenAPI 3, Swagger 2) as paths to sample.

use super::usable;
use serde_json::Value as Json;

/// The most listings that are taken from a description.
const MAX_LISTINGS: usize = 20;

/// A listing that a server describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its path below the side's URL.
    pub path: String,
    /// The path of one record, with `{{ id }}`.
    pub one: Option<String>,
    /// Methods that write, each with its path.
    pub methods: Vec<(String, String)>,
}

/// The listings of a description; nothing if it is none.
pub fn described(body: &Json) -> Option<Vec<Described>> {
    let described = body.get("openapi").or_else(|| body.get("swagger"))?;
    let paths = body.get("paths").filter(|_| described.is_string())?.as_object()?;
    let base = base(body);
    let full = |path: &str| format!("{base}/{}", path.trim_start_matches('/'));
    let mut found = Vec::new();
    for (path, operations) in paths {
        if operations.get("get").is_none()
            || path.contains(['{', '?', '#'])
            || !usable(path)
            || found.len() >= MAX_LISTINGS
        {
            continue;
        }
        let one = paths.iter().find(|(other, _)| {
            let rest =
                other.strip_prefix(path.trim_end_matches('/')).and_then(|rest| rest.strip_prefix("/{"));
            rest.is_some_and(|rest| rest.trim_end_matches('/').ends_with('}') && !rest.contains('/'))
        });
        let template = one.map(|_| format!("{}/{{{{ id }}}}", full(path).trim_end_matches('/')));
        let mut methods = Vec::new();
        if operations.get("post").is_some() {
            methods.push(("POST".to_owned(), full(path)));
        }
        if let (Some((_, of)), Some(template)) = (one, &template) {
            let update = ["patch", "put"].into_iter().find(|method| of.get(method).is_some());
            let delete = Some("delete").filter(|method| of.get(method).is_some());
            let both = update.into_iter().chain(delete);
            methods.extend(both.map(|method| (method.to_uppercase(), template.clone())));
        }
        found.push(Described { path: full(path), one: template, methods });
    }
    Some(found)
}

/// What stands before each path, if it is a path itself: other servers are not asked.
fn base(body: &Json) -> String {
    let given = body.pointer("/servers/0/url").or_else(|| body.get("basePath")).and_then(Json::as_str);
    let given = given
        .filter(|text| text.starts_with('/') && !text.starts_with("//") && usable(text))
        .unwrap_or_default();
    given.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::described;
    use serde_json::json;

    #[test]
    fn listings_and_their_records_are_found() {
        let body = json!({ "openapi": "3.1.0", "servers": [{ "url": "/api" }], "paths": {
            "/permits": { "get": {}, "post": {} },
            "/permits/{permitId}": { "get": {}, "patch": {}, "delete": {} },
            "/permits/{permitId}/notes": { "get": {} },
            "/login": { "post": {} },
        } });
        let found = described(&body).unwrap();
        assert_eq!(found.len(), 1);
        let one = found.first().unwrap();
        assert_eq!((one.path.as_str(), one.one.as_deref()), ("/api/permits", Some("/api/permits/{{ id }}")));
        let methods: Vec<&str> = one.methods.iter().map(|(method, _)| method.as_str()).collect();
        assert_eq!(methods, ["POST", "PATCH", "DELETE"]);
        assert_eq!(described(&json!({ "paths": {} })), None);
    }

    #[test]
    fn a_description_sends_us_nowhere_else() {
        let body = json!({ "openapi": "3.0.0", "servers": [{ "url": "https://elsewhere.example/v1" }],
            "paths": { "/x": { "get": {} } } });
        assert_eq!(described(&body).unwrap().first().unwrap().path, "/x");
    }

    #[test]
    fn a_description_names_nothing_of_ours() {
        let body = json!({ "openapi": "3.0.0", "servers": [{ "url": "/${SECRET}" }],
            "paths": { "/${HOME}": { "get": {} }, "/a\rb": { "get": {} }, "/x": { "get": {} } } });
        let paths: Vec<String> = described(&body).unwrap().into_iter().map(|of| of.path).collect();
        assert_eq!(paths, ["/x"]);
    }
}
