//! Products as the request path sees them, compiled whenever a product or plan changes.

use std::collections::HashMap;
use std::sync::Arc;

use keytoll_apispec::{Match, OperationMatcher};
use keytoll_domain::catalog::{Bill, ErrorTexts, OperationKey};
use keytoll_domain::ids::ProductId;
use keytoll_domain::key::Environment;
use keytoll_domain::scope::ScopeIndex;

use crate::bits::BitSet;
use crate::credential::KeyFrom;
use crate::upstream::Upstream;

/// Product ids that would hide the gateway's own paths.
pub const RESERVED_PRODUCT_IDS: [&str; 8] =
    ["v1", "v2", "api", "unkey", "healthz", "readyz", "metrics", "assets"];

/// All products by the first segment of the path.
#[derive(Default)]
pub(crate) struct Routes {
    pub products: HashMap<Box<str>, Arc<ProductRoute>>,
}

/// Where calls of an environment go.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// The product has none.
    Absent,
    /// It has a URL that cannot be used; calls fail as if it were down.
    Broken,
    At(Arc<Upstream>),
}

pub(crate) struct ProductRoute {
    pub id: ProductId,
    pub index: u32,
    pub live: Place,
    pub sandbox: Place,
    pub key_from: KeyFrom,
    pub texts: ErrorTexts,
    pub bill: Bill,
    pub matcher: OperationMatcher,
    pub operations: Vec<OperationRoute>,
    /// Stands in the ledger for calls whose operation is not known.
    pub no_operation: OperationKey,
}

pub(crate) struct OperationRoute {
    pub key: OperationKey,
    pub operation_id: Option<Box<str>>,
    pub units: u32,
    pub scopes: Box<[Box<[ScopeIndex]>]>,
    /// Indexes of the plans that allow it.
    pub plans: BitSet,
}

impl Routes {
    /// Splits `/product/rest`; the rest keeps its slash and is at least `/`.
    pub(crate) fn find<'p>(&self, path: &'p str) -> Option<(&Arc<ProductRoute>, &'p str)> {
        let path = path.strip_prefix('/')?;
        let (id, rest) = match path.find('/') {
            Some(slash) => path.split_at(slash),
            None => (path, "/"),
        };
        self.products.get(id).map(|product| (product, rest))
    }
}

impl ProductRoute {
    pub(crate) fn is_keyless(&self) -> bool {
        self.key_from.sources.is_empty()
    }

    pub(crate) fn place(&self, environment: Environment) -> &Place {
        match environment {
            Environment::Live => &self.live,
            Environment::Test => &self.sandbox,
        }
    }

    /// An encoded slash is part of its segment. Some servers decode it first: a path that would be another
    /// operation for them is none for us, or a key could call what its plan and scopes leave out.
    pub(crate) fn find(&self, method: &str, path: &str) -> Found<'_> {
        let found = self.find_as_written(method, path);
        let Found::Operation(operation) = found else { return found };
        let Some(decoded) = slashes_decoded(path) else { return found };
        match self.find_as_written(method, &decoded) {
            Found::Operation(other) if !std::ptr::eq(operation, other) => Found::NoPath,
            _ => found,
        }
    }

    fn find_as_written(&self, method: &str, path: &str) -> Found<'_> {
        match self.matcher.match_path(method, path) {
            Match::Found(index) => Found::Operation(&self.operations[index]),
            Match::WrongMethod(allow) => Found::WrongMethod(allow),
            Match::NoPath => Found::NoPath,
        }
    }

    /// An operation by its id in the document, or by `METHOD /path`.
    pub(crate) fn named(&self, name: &str) -> Found<'_> {
        if let Some((method, path)) = name.split_once(' ') {
            return self.find(method, path);
        }
        let mut operations = self.operations.iter();
        operations
            .find(|operation| operation.operation_id.as_deref() == Some(name))
            .map_or(Found::NoPath, Found::Operation)
    }
}

/// The path as a server reads it that decodes slashes first; absent when it is the same.
fn slashes_decoded(path: &str) -> Option<String> {
    if !path.contains("%2") {
        return None;
    }
    let decoded = path.replace("%2F", "/").replace("%2f", "/");
    (decoded != path).then_some(decoded)
}

/// Where a method and path lead.
#[derive(Clone, Copy)]
pub(crate) enum Found<'p> {
    Operation(&'p OperationRoute),
    /// The methods that the path has.
    WrongMethod(&'p str),
    NoPath,
}
