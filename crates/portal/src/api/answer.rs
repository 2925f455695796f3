//! Shapes that several answers share.

use keytoll_control::page::PageRequest;
use keytoll_control::receipts::Receipt;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

/// `?limit=` and `?cursor=`, for the document; read by [`super::query::Params::page`].
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes a query that is read elsewhere")]
pub(super) struct PageQuery {
    /// Rows at most.
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// `?partner=`, for the document.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes a query that is read elsewhere")]
pub(super) struct PartnerQuery {
    /// The partner in question; by default your only one. Staff who leave it out see all in lists.
    #[param(example = "ptn_019ab3f47c1d7000a1b2c3d4e5f60718")]
    partner: Option<String>,
}

/// `?days=`, for the document.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes a query that is read elsewhere")]
pub(super) struct DaysQuery {
    /// Days up to and including today, UTC.
    #[param(minimum = 1, maximum = 400, default = 30)]
    days: Option<u32>,
}

/// `?environment=`, for the document.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes a query that is read elsewhere")]
pub(super) struct EnvironmentQuery {
    /// Calls with live keys, which is the default, or with test keys.
    #[param(inline)]
    environment: Option<super::schema::Environment>,
}

/// Which live gateway nodes have applied a change, and which have not within two seconds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Receipt)]
pub(super) struct ReceiptBody {
    nodes: Vec<ReceiptNode>,
    missing: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReceiptNode {
    #[schema(example = "gateway-1")]
    node: String,
    /// Milliseconds from the change until the node had applied it.
    #[schema(example = 3)]
    ms: u64,
}

impl From<Receipt> for ReceiptBody {
    fn from(receipt: Receipt) -> Self {
        let nodes = receipt.nodes.into_iter();
        let nodes = nodes.map(|node| ReceiptNode { node: node.node, ms: node.ms }).collect();
        Self { nodes, missing: receipt.missing }
    }
}

/// Asks the use case for one row more than the page has, to know whether another page follows.
pub(super) fn one_more<Id: Clone>(page: &PageRequest<Id>) -> PageRequest<Id> {
    PageRequest { cursor: page.cursor.clone(), limit: page.limit + 1 }
}

/// Cuts the row too many off and returns the cursor of the next page.
pub(super) fn next_cursor<T>(
    rows: &mut Vec<T>,
    limit: u32,
    id: impl Fn(&T) -> String,
) -> Option<String> {
    if rows.len() <= limit as usize {
        return None;
    }
    rows.truncate(limit as usize);
    rows.last().map(id)
}
