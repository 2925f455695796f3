//! Requests that change something must come from our own pages (or from no page at all).
//!
//! Browsers say where a request comes from in `Sec-Fetch-Site` and `Origin`; that is checked instead of a
//! token in each form. A request with a bearer token needs no check: no browser sends one by itself.

use http::{HeaderMap, HeaderValue, Method, header};

use crate::state::Origin;

/// The request comes from a page of another site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request comes from another site")]
pub struct CrossSite;

/// Accepted: `public_url`, and the address asked for when that is loopback. A request that names no
/// origin is no browser's, whose cookies are `SameSite=Lax` besides.
pub fn check(method: &Method, headers: &HeaderMap, public_url: &Origin) -> Result<(), CrossSite> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        return Err(CrossSite);
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin: Origin = origin.to_str().ok().and_then(|o| o.parse().ok()).ok_or(CrossSite)?;
    if origin == *public_url || asked_for(headers, origin.https).as_ref() == Some(&origin) {
        Ok(())
    } else {
        Err(CrossSite)
    }
}

/// The address in `Host`, if it is this machine: another name could be anybody's who points it here.
fn asked_for(headers: &HeaderMap, https: bool) -> Option<Origin> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    Origin::of_authority(https, host).ok().filter(Origin::is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(pairs: &[(&'static str, &'static str)]) -> Result<(), CrossSite> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        let public_url = "https://portal.example.com".parse().unwrap();
        check(&Method::POST, &headers, &public_url)
    }

    #[test]
    fn own_pages_and_programs_pass() {
        assert_eq!(post(&[]), Ok(()));
        let own = ("origin", "https://portal.example.com");
        assert_eq!(post(&[own, ("sec-fetch-site", "same-origin")]), Ok(()));
        assert_eq!(post(&[("host", "127.0.0.1:81"), ("origin", "http://127.0.0.1:81")]), Ok(()));
    }

    #[test]
    fn other_sites_are_refused() {
        let own = ("origin", "https://portal.example.com");
        for site in ["cross-site", "same-site", "x"] {
            assert_eq!(post(&[own, ("sec-fetch-site", site)]), Err(CrossSite), "{site}");
        }
        for origin in ["null", "http://portal.example.com", "https://portal.example.com:444"] {
            assert_eq!(post(&[("origin", origin)]), Err(CrossSite), "{origin}");
        }
        let rebound = [("host", "evil.example"), ("origin", "http://evil.example")];
        assert_eq!(post(&rebound), Err(CrossSite));
        let other_port = [("host", "127.0.0.1:81"), ("origin", "http://127.0.0.1:82")];
        assert_eq!(post(&other_port), Err(CrossSite));
    }
}
