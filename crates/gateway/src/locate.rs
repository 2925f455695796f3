//! From a request's host and path to a product and the version that is meant. One core's own copy of the routes,
//! so that requests that hold a product count on their core only.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use keytoll_domain::catalog::{VersionBy, bounds};

use crate::fields::Fields;
use crate::own;
use crate::request::Request;
use crate::route::{ProductRoute, Routes, Versions};

/// A product, held by a request without touching what other cores hold.
pub(crate) type Product = Rc<Arc<ProductRoute>>;

#[derive(Default)]
pub(crate) struct LocalRoutes {
    pub version: Option<u64>,
    products: HashMap<Box<str>, Entry>,
    /// Empty unless some product has host names, and then most requests need not look.
    hosts: HashMap<Box<str>, Entry>,
}

struct Entry {
    product: Product,
    versions: Option<Box<LocalVersions>>,
}

struct LocalVersions {
    by: VersionBy,
    header: Box<str>,
    default: Box<str>,
    further: HashMap<Box<str>, Product>,
}

/// Whose a request is.
pub(crate) enum Whose<'r> {
    /// One of the gateway's own paths.
    Ours,
    Nobodys,
    Products(Located<'r>),
}

pub(crate) struct Located<'r> {
    /// The version's own route.
    pub product: Product,
    /// The path below it, which keeps its slash and is at least `/`.
    pub rest: &'r str,
    /// The request names a version that there is none of.
    pub unknown_version: bool,
}

impl LocalRoutes {
    pub(crate) fn of(routes: &Routes, version: u64) -> Self {
        let mut local = Self { version: Some(version), ..Self::default() };
        for (id, product) in &routes.products {
            let entry = Entry::of(product, routes.versions.get(id));
            local.products.insert(id.clone(), entry);
        }
        for (host, product) in &routes.hosts {
            // A version's own host is that version's, whatever else the request names.
            let versions = routes.versions.get(product.id.as_str());
            let versions = versions.filter(|versions| versions.by != VersionBy::Host);
            local.hosts.insert(host.clone(), Entry::of(product, versions));
        }
        local
    }

    /// A product's host name goes first; on it, the whole path is the product's.
    pub(crate) fn whose<'r>(&self, request: &'r Request) -> Whose<'r> {
        let path = request.path();
        if !self.hosts.is_empty()
            && let Some(entry) = self.by_host(request.host())
        {
            return Whose::Products(entry.locate(path, &request.fields));
        }
        if own::is_own(path) {
            return Whose::Ours;
        }
        let Some((id, rest)) = first_segment(path) else { return Whose::Nobodys };
        match self.products.get(id) {
            Some(entry) => Whose::Products(entry.locate(rest, &request.fields)),
            None => Whose::Nobodys,
        }
    }

    /// The version of a product that a path and its fields mean.
    pub(crate) fn below<'r>(
        &self,
        id: &str,
        rest: &'r str,
        fields: &Fields,
    ) -> Option<Located<'r>> {
        self.products.get(id).map(|entry| entry.locate(rest, fields))
    }

    fn by_host(&self, host: &[u8]) -> Option<&Entry> {
        let mut room = [0; bounds::HOST_MAX_LEN];
        let name = host_name(host);
        let lower = room.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        self.hosts.get(std::str::from_utf8(lower).ok()?)
    }
}

impl Entry {
    fn of(product: &Arc<ProductRoute>, versions: Option<&Versions>) -> Self {
        let versions = versions.map(|versions| {
            let further = versions.further.iter();
            Box::new(LocalVersions {
                by: versions.by,
                header: versions.header.clone(),
                default: versions.default.clone(),
                further: further.map(|(id, one)| (id.clone(), Rc::new(one.clone()))).collect(),
            })
        });
        Self { product: Rc::new(product.clone()), versions }
    }

    fn locate<'r>(&self, rest: &'r str, fields: &Fields) -> Located<'r> {
        let default = || Located { product: self.product.clone(), rest, unknown_version: false };
        let Some(versions) = &self.versions else { return default() };
        match versions.by {
            VersionBy::Host => default(),
            VersionBy::Path => {
                let Some((id, below)) = first_segment(rest) else { return default() };
                let Some(product) = versions.further.get(id) else { return default() };
                Located { product: product.clone(), rest: below, unknown_version: false }
            }
            VersionBy::Header => match versions.named(fields) {
                Ok(None) => default(),
                Ok(Some(product)) => Located { product: product.clone(), ..default() },
                Err(Unknown) => Located { unknown_version: true, ..default() },
            },
        }
    }
}

struct Unknown;

impl LocalVersions {
    /// The version that the header names, `None` for the default one. Two different names mean none.
    fn named(&self, fields: &Fields) -> Result<Option<&Product>, Unknown> {
        let mut names = fields.named(&self.header);
        let Some(name) = names.next() else { return Ok(None) };
        if names.any(|other| other != name) {
            return Err(Unknown);
        }
        let name = std::str::from_utf8(name).map_err(|_| Unknown)?.trim();
        if name == &*self.default {
            return Ok(None);
        }
        self.further.get(name).map(Some).ok_or(Unknown)
    }
}

/// The first segment of a path and what is below it.
fn first_segment(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('/')?;
    Some(path.find('/').map_or((path, "/"), |slash| path.split_at(slash)))
}

/// The name in a `Host` field, without a port and the dot of an absolute name.
fn host_name(host: &[u8]) -> &[u8] {
    let name = match host.iter().rposition(|byte| *byte == b':') {
        Some(colon) if !host.ends_with(b"]") => &host[..colon],
        _ => host,
    };
    name.strip_suffix(b".").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::{first_segment, host_name};

    #[test]
    fn host_name_drops_port_and_last_dot() {
        for (host, name) in [
            ("a.example", "a.example"),
            ("a.example:8080", "a.example"),
            ("a.example.", "a.example"),
            ("a.example.:80", "a.example"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            (".", ""),
        ] {
            assert_eq!(host_name(host.as_bytes()), name.as_bytes(), "{host}");
        }
    }

    #[test]
    fn first_segment_leaves_a_path() {
        assert_eq!(first_segment("/a"), Some(("a", "/")));
        assert_eq!(first_segment("/a/"), Some(("a", "/")));
        assert_eq!(first_segment("/a/b/c"), Some(("a", "/b/c")));
        assert_eq!(first_segment("/"), Some(("", "/")));
        assert_eq!(first_segment(""), None);
    }
}
