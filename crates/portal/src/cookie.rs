//! The session cookie: read from a request, set, cleared.
//!
//! Over https it is called `__Host-keytoll`, which browsers bind to this host and to https; over plain http
//! (a demo on this machine) `keytoll`.

use http::{HeaderMap, HeaderValue, header};

use crate::state::Origin;

/// As long as the session itself.
const MAX_AGE_SECS: u32 = 30 * 86_400;

fn name(public_url: &Origin) -> &'static str {
    if public_url.https { "__Host-keytoll" } else { "keytoll" }
}

/// The secret of the session that the request carries.
pub fn session(headers: &HeaderMap, public_url: &Origin) -> Option<String> {
    let name = name(public_url);
    for value in headers.get_all(header::COOKIE) {
        for pair in value.to_str().unwrap_or_default().split(';') {
            match pair.trim().split_once('=') {
                Some((found, secret)) if found == name => return Some(secret.to_owned()),
                _ => {}
            }
        }
    }
    None
}

/// `Set-Cookie` for a new session; its secret is URL-safe text.
pub fn set(secret: &str, public_url: &Origin) -> Option<HeaderValue> {
    cookie(secret, MAX_AGE_SECS, public_url)
}

/// `Set-Cookie` that makes the browser forget the session.
pub fn clear(public_url: &Origin) -> Option<HeaderValue> {
    cookie("", 0, public_url)
}

fn cookie(secret: &str, max_age_secs: u32, public_url: &Origin) -> Option<HeaderValue> {
    let secure = if public_url.https { "; Secure" } else { "" };
    let name = name(public_url);
    let text =
        format!("{name}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_secs}{secure}");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_comes_back_and_is_bound_to_https_where_there_is_https() {
        let plain = "http://127.0.0.1:1".parse().unwrap();
        let secure = "https://a.example".parse().unwrap();
        let set = set("s3cret", &secure).unwrap();
        assert_eq!(
            set.to_str().unwrap(),
            "__Host-keytoll=s3cret; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000; Secure"
        );
        let mut headers = HeaderMap::new();
        headers.insert("cookie", HeaderValue::from_static("a=b; keytoll=one"));
        assert_eq!(session(&headers, &plain).as_deref(), Some("one"));
        assert_eq!(session(&headers, &secure), None);
        assert!(clear(&plain).unwrap().to_str().unwrap().starts_with("keytoll=; "));
    }
}
