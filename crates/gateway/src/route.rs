//! Products as the request path sees them, compiled whenever a product or plan changes.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use keytoll_apispec::{Match, OperationMatcher};
use keytoll_domain::catalog::{self, Bill, ErrorTexts, OperationKey, VersionBy};
use keytoll_domain::ids::ProductId;
use keytoll_domain::key::Environment;
use keytoll_domain::limits::CellPolicy;
use keytoll_domain::scope::ScopeIndex;
use keytoll_domain::time::Timestamp;

use crate::bits::BitSet;
use crate::cells::LazyCell;
use crate::credential::KeyFrom;
use crate::keytable::PlanRecord;
use crate::outgoing::VersionField;
use crate::policies::{Closed, Notice, Policies};
use crate::signing::Signer;
use crate::upstream::cluster::Cluster;
use crate::validation::Checks;

/// All products.
#[derive(Default)]
pub(crate) struct Routes {
    /// By the first segment of the path: the default versions.
    pub products: HashMap<Box<str>, Arc<ProductRoute>>,
    /// Further versions, for products that have any.
    pub versions: HashMap<Box<str>, Versions>,
    /// By host names of their own, in lower case.
    pub hosts: HashMap<Box<str>, Arc<ProductRoute>>,
    /// By the plan's index, made when first asked for: a JSON list of the ids of its products.
    pub plan_products: Box<[OnceLock<Box<str>>]>,
}

/// Further versions of a product. Each is a route of its own that shares the product's number, keys and policies.
pub(crate) struct Versions {
    pub by: VersionBy,
    /// Name of the field that names a version.
    pub header: Box<str>,
    /// What the default version is called.
    pub default: Box<str>,
    pub further: HashMap<Box<str>, Arc<ProductRoute>>,
}

impl Routes {
    /// Every version of every product.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<ProductRoute>> {
        let further = self.versions.values().flat_map(|versions| versions.further.values());
        self.products.values().chain(further)
    }

    /// An operation by its id in the document, by `METHOD /path`, or by `METHOD version:/path` for further versions.
    pub(crate) fn named<'r>(&'r self, product: &'r ProductRoute, name: &str) -> Found<'r> {
        if let Some(versions) = self.versions.get(product.id.as_str())
            && let Some((method, path)) = name.split_once(' ')
            && let Some((version, path)) = path.split_once(':')
            && let Some(version) = versions.further.get(version)
        {
            return version.find(method, path);
        }
        product.named(name)
    }

    /// A plan's products as a JSON list; `None` for a plan that these routes do not know yet.
    pub(crate) fn products_of(&self, plan: &PlanRecord) -> Option<&str> {
        let text = self.plan_products.get(plan.index as usize)?;
        Some(text.get_or_init(|| self.products_json(|product| plan.products.has(product)).into()))
    }

    /// The products whose indexes are taken, as a JSON list in the order of their ids.
    pub(crate) fn products_json(&self, takes: impl Fn(u32) -> bool) -> String {
        let products = self.products.values().filter(|product| takes(product.index));
        let mut ids: Vec<&str> = products.map(|product| product.id.as_str()).collect();
        ids.sort_unstable();
        let mut text = String::from("[");
        for (index, id) in ids.into_iter().enumerate() {
            // Ids need no escaping.
            for part in [if index == 0 { "\"" } else { ",\"" }, id, "\""] {
                text.push_str(part);
            }
        }
        text.push(']');
        text
    }
}

/// Where calls of an environment go.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// The product has none.
    Absent,
    /// It has a URL that cannot be used; calls fail as if it were down.
    Broken,
    At(Arc<Cluster>),
}

pub(crate) struct ProductRoute {
    pub id: ProductId,
    pub index: u32,
    pub live: Place,
    pub sandbox: Place,
    pub key_from: KeyFrom,
    pub texts: ErrorTexts,
    pub bill: Bill,
    /// Whether its upstream is told who calls.
    pub identity_headers: bool,
    /// Tells the upstream this version, where a header names versions.
    pub version_field: Option<Box<VersionField>>,
    /// For products whose upstream refuses what is not signed.
    pub signer: Option<Box<Signer>>,
    /// Windows over all its callers.
    pub limits: Option<ProductLimits>,
    /// Where its answers are kept, for products that want it.
    pub cache: Option<Box<Spaces>>,
    /// What is done to requests and answers on their way, if anything.
    pub policies: Option<Box<Policies>>,
    /// What requests are compared with, if they are.
    pub checks: Option<Box<Checks>>,
    pub matcher: OperationMatcher,
    pub operations: Vec<OperationRoute>,
    /// Stands in the ledger for calls whose operation is not known.
    pub no_operation: OperationKey,
}

/// What the keys of a version's kept answers begin with. Anything else begins differently, the version as it was
/// before a change of the product too, so that a change leaves nothing to be found.
pub(crate) struct Spaces {
    live: Box<str>,
    test: Box<str>,
}

impl Spaces {
    /// `None` if nothing is to be kept. An upstream that sees the keys may answer each key differently.
    pub(crate) fn of(product: &catalog::Product, version: &str) -> Option<Self> {
        if !product.settings.cache || product.settings.forward_key {
            return None;
        }
        let (id, version) = (product.id.as_str(), version.replace('\0', ""));
        let changed = product.updated_at.0;
        let space = |environment: &str| format!("{id} {version} {environment} {changed}\0").into();
        Some(Self { live: space("live"), test: space("test") })
    }

    pub(crate) fn of_environment(&self, environment: Environment) -> &str {
        match environment {
            Environment::Live => &self.live,
            Environment::Test => &self.test,
        }
    }
}

/// A product's windows, which protect its upstream.
pub(crate) struct ProductLimits {
    pub policy: CellPolicy,
    pub cells: Arc<ProductCells>,
}

/// What is counted of a product's calls; it outlives the route when that is compiled anew.
#[derive(Default)]
pub(crate) struct ProductCells {
    live: LazyCell,
    test: LazyCell,
}

impl ProductCells {
    pub(crate) fn of(&self, environment: Environment) -> &LazyCell {
        match environment {
            Environment::Live => &self.live,
            Environment::Test => &self.test,
        }
    }
}

pub(crate) struct OperationRoute {
    pub key: OperationKey,
    /// `METHOD /path` as in the document; `METHOD version:/path` for further versions.
    pub name: Box<str>,
    pub operation_id: Option<Box<str>>,
    /// Its place in the version's list.
    pub index: usize,
    /// Lines that tell of its end; they go before the product's.
    pub deprecation: Option<Box<[u8]>>,
    pub units: u32,
    /// What a proxied call is admitted with, where its upstream says afterwards what it cost.
    pub max_units: Option<u32>,
    pub scopes: Box<[Box<[ScopeIndex]>]>,
    /// Indexes of the plans that allow it.
    pub plans: BitSet,
}

impl ProductRoute {
    pub(crate) fn is_keyless(&self) -> bool {
        self.key_from.sources.is_empty()
    }

    /// Why all calls are turned away, if they are.
    pub(crate) fn maintenance(&self) -> Option<&Notice> {
        self.policies.as_ref().and_then(|policies| policies.maintenance.as_ref())
    }

    pub(crate) fn closed(&self, now: Timestamp) -> Option<Closed<'_>> {
        self.maintenance().map(|notice| notice.at(now))
    }

    /// Everywhere its calls may go.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = &Arc<Cluster>> {
        [&self.live, &self.sandbox].into_iter().filter_map(|place| match place {
            Place::At(cluster) => Some(cluster),
            Place::Absent | Place::Broken => None,
        })
    }

    pub(crate) fn place(&self, environment: Environment) -> &Place {
        match environment {
            Environment::Live => &self.live,
            Environment::Test => &self.sandbox,
        }
    }

    /// An encoded slash and what follows a semicolon are part of their segment. Some servers decode the one,
    /// drop the other or merge slashes first: a path that would be another operation for them is none for us,
    /// or a key could call what its plan and scopes leave out.
    pub(crate) fn find(&self, method: &str, path: &str) -> Found<'_> {
        let found = self.find_as_written(method, path);
        let Found::Operation(operation) = found else { return found };
        for reading in other_readings(path) {
            if let Found::Operation(other) = self.find_as_written(method, &reading)
                && !std::ptr::eq(operation, other)
            {
                return Found::NoPath;
            }
        }
        found
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

/// The path as servers read it that decode slashes, drop parameters of segments, or both; none for most paths.
fn other_readings(path: &str) -> Vec<String> {
    if !path.bytes().any(|byte| matches!(byte, b'%' | b';')) {
        return Vec::new();
    }
    let slash = path.contains("%2F") || path.contains("%2f");
    if !slash && !path.contains(';') {
        return Vec::new();
    }
    let decoded = path.replace("%2F", "/").replace("%2f", "/");
    [decoded.clone(), without_parameters(path), without_parameters(&decoded)]
        .map(|reading| merge_slashes(&reading))
        .into()
}

/// `/pens/7;a=1/locks` is `/pens/7/locks` for servers that know parameters of segments.
fn without_parameters(path: &str) -> String {
    let segments = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    segments.collect::<Vec<_>>().join("/")
}

fn merge_slashes(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    merged
}

/// Where a method and path lead.
#[derive(Clone, Copy)]
pub(crate) enum Found<'p> {
    Operation(&'p OperationRoute),
    /// The methods that the path has.
    WrongMethod(&'p str),
    NoPath,
}
