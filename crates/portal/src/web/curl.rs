//! Sample calls that can be pasted into a shell. Paths and examples come from documents that are not
//! trusted, so every argument stands in single quotes.

use crate::ui::part::encode;

/// One call.
#[derive(Clone, Debug, Default)]
pub(super) struct Call<'a> {
    pub(super) method: &'a str,
    /// Gateway and product, without a slash at the end.
    pub(super) base: &'a str,
    /// Path template as in the document.
    pub(super) path: &'a str,
    /// Values of path parameters; a missing one stays as its name in braces.
    pub(super) path_values: Vec<(String, String)>,
    pub(super) query: Vec<(String, String)>,
    /// Content type and body.
    pub(super) body: Option<(String, String)>,
    /// What to send as the key; `None` for a product without keys.
    pub(super) key: Option<&'a str>,
}

pub(super) fn curl(call: &Call<'_>) -> String {
    let mut path = call.path.to_owned();
    for (name, value) in &call.path_values {
        path = path.replace(&format!("{{{name}}}"), &encode(value));
    }
    let query: Vec<String> = call
        .query
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    let mark = if query.is_empty() { "" } else { "?" };
    let url = format!("{}{path}{mark}{}", call.base, query.join("&"));
    let mut first = vec!["curl".to_owned()];
    if call.method != "GET" {
        first.push(format!("-X {}", quote(call.method)));
    }
    first.push(quote(&url));
    let mut lines = vec![first.join(" ")];
    if let Some(key) = call.key {
        lines.push(format!("-H {}", quote(&format!("Authorization: Bearer {key}"))));
    }
    if let Some((content_type, body)) = &call.body {
        lines.push(format!("-H {}", quote(&format!("Content-Type: {content_type}"))));
        lines.push(format!("-d {}", quote(body)));
    }
    lines.join(" \\\n  ")
}

/// A word of a POSIX shell: nothing in it is expanded. Control characters but line feeds are dropped.
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let shown: String = text.chars().filter(|c| !c.is_control() || *c == '\n').collect();
    format!("'{}'", shown.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_can_be_pasted_whatever_the_document_says() {
        let call = Call {
            method: "POST",
            base: "http://127.0.0.1:8080/p",
            path: "/items/{id}/$(rm)",
            path_values: vec![("id".into(), "a b/;".into())],
            query: vec![("q".into(), "1&2".into())],
            body: Some(("application/json".into(), "{\"it\": \"'s\"}".into())),
            key: Some("KEY"),
        };
        let expected = "curl -X POST 'http://127.0.0.1:8080/p/items/a%20b%2F%3B/$(rm)?q=1%262' \\\n  \
                        -H 'Authorization: Bearer KEY' \\\n  -H 'Content-Type: application/json' \\\n  \
                        -d '{\"it\": \"'\\''s\"}'";
        assert_eq!(curl(&call), expected);
        let plain = Call { method: "GET", base: "http://h/p", path: "/x", ..Call::default() };
        assert_eq!(curl(&plain), "curl http://h/p/x");
    }
}
