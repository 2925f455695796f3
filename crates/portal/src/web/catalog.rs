//! The catalogue and one product.

use axum::extract::Path;
use axum::response::Response;
use keytoll_apispec::{Document, Operation, ParameterLocation};
use keytoll_control::page::PageRequest;
use keytoll_control::plans::{self, PlanView};
use keytoll_control::products::{self, ProductView};
use keytoll_control::{StoreError, subscriptions};
use keytoll_domain::catalog::{Category, Operation as Priced, ProductStatus};
use keytoll_domain::ids::ProductId;
use keytoll_domain::subscription::SubscriptionStatus;
use serde_json::Value;

use super::answer::{Stop, ok};
use super::billing::terms;
use super::curl::{Call, curl};
use super::visitor::Visitor;
use crate::pages::catalog::{
    Catalog, OperationGroup, OperationView, ParameterRow, ProductCard, ProductPage, ResponseRow,
};
use crate::ui::text::price;

const CARDS: usize = 60;
/// Operations of one document that a page shows; the sum of their examples is bounded too.
const OPERATIONS_SHOWN: usize = 300;
const EXAMPLE_MAX_BYTES: usize = 4_000;
const PLANS_LOOKED_AT: u32 = 1_000;

/// `GET /catalog`
pub(super) async fn list(visitor: Visitor) -> Result<Response, Stop> {
    let actor = visitor.actor();
    let query = visitor.query.text("q");
    let category = visitor.query.text("category");
    let mut cursor = ProductId::new(&visitor.query.text("cursor")).ok();
    let plans = all_plans(&visitor).await.map_err(|error| visitor.stop(error))?;
    let mut cards = Vec::new();
    // Filtering happens here, so pages are read until enough products match.
    loop {
        let page = PageRequest { cursor: cursor.clone(), limit: 200 };
        let found = products::list(visitor.ctx(), &actor, &page).await;
        let found = found.map_err(|error| visitor.stop(error))?;
        let whole = found.len() < 200;
        cursor = None;
        for product in found {
            if cards.len() == CARDS {
                break;
            }
            cursor = Some(product.id.clone());
            if matches(&product, &query, &category) {
                cards.push(card(product, &plans));
            }
        }
        if whole && cards.len() < CARDS {
            cursor = None;
        }
        if whole || cards.len() == CARDS {
            break;
        }
    }
    let next_cursor = cursor.map(|id| id.to_string());
    let page = Catalog { query, category, products: cards, next_cursor, staff: actor.is_staff() };
    Ok(ok(&visitor.shell, &page))
}

/// `GET /catalog/{product}`
pub(super) async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Stop> {
    let id = ProductId::new(&id).map_err(|_| visitor.not_found())?;
    let actor = visitor.actor();
    let found =
        products::show(visitor.ctx(), &actor, &id).await.map_err(|error| visitor.stop(error))?;
    let product = found.ok_or_else(|| visitor.not_found())?;
    let document =
        products::document(visitor.ctx(), &id).await.map_err(|error| visitor.stop(error))?;
    let base_url = format!("{}/{id}", visitor.portal.gateway_url);
    let groups = groups(&product, document.as_deref().map(|found| &found.document), &base_url);
    let plans = all_plans(&visitor).await.map_err(|error| visitor.stop(error))?;
    let held = held_plans(&visitor).await?;
    let offers = plans.iter().filter(|plan| plan.products.contains(&id));
    let page = ProductPage {
        plans: offers.map(|plan| terms(plan, held.contains(&plan.id.to_string()))).collect(),
        left_out: product.operations.len().saturating_sub(OPERATIONS_SHOWN),
        groups,
        base_url,
        id: id.to_string(),
        name: product.name,
        description: product.description,
        version: product.version,
        category: product.category.map(category_name),
        status: status_name(product.status),
        tags: product.tags,
        sandbox: product.has_sandbox,
        keyless: !product.needs_key,
    };
    Ok(ok(&visitor.shell, &page))
}

pub(super) async fn all_plans(visitor: &Visitor) -> Result<Vec<PlanView>, StoreError> {
    let page = PageRequest { cursor: None, limit: PLANS_LOOKED_AT };
    let mut plans = plans::list(visitor.ctx(), &page).await?;
    plans.sort_by_key(|plan| plan.price_monthly);
    Ok(plans)
}

/// The plans that the visitor's partner has subscribed to.
pub(super) async fn held_plans(visitor: &Visitor) -> Result<Vec<String>, Stop> {
    let Some(partner) = visitor.partner else { return Ok(Vec::new()) };
    let page = PageRequest { cursor: None, limit: PLANS_LOOKED_AT };
    let held = subscriptions::list(visitor.ctx(), &visitor.actor(), Some(partner), page).await;
    let held = held.map_err(|error| visitor.stop(error))?;
    let running =
        held.iter().filter(|subscription| subscription.status == SubscriptionStatus::Active);
    Ok(running.map(|subscription| subscription.plan.to_string()).collect())
}

pub(super) fn category_name(category: Category) -> &'static str {
    match category {
        Category::Logistics => "logistics",
        Category::Payments => "payments",
        Category::Data => "data",
        Category::Communication => "communication",
        Category::Analytics => "analytics",
    }
}

pub(super) fn status_name(status: ProductStatus) -> &'static str {
    match status {
        ProductStatus::Active => "active",
        ProductStatus::Beta => "beta",
        ProductStatus::Deprecated => "deprecated",
    }
}

fn matches(product: &ProductView, query: &str, category: &str) -> bool {
    let query = query.to_lowercase();
    let fits = |text: &str| text.to_lowercase().contains(&query);
    let named = fits(product.id.as_str())
        || fits(&product.name)
        || fits(&product.description)
        || product.tags.iter().any(|tag| fits(tag));
    named
        && (category.is_empty()
            || product.category.is_some_and(|own| category_name(own) == category))
}

fn card(product: ProductView, plans: &[PlanView]) -> ProductCard {
    let offers = plans.iter().filter(|plan| plan.products.contains(&product.id));
    let cheapest = offers.min_by_key(|plan| plan.price_monthly);
    ProductCard {
        id: product.id.to_string(),
        name: product.name,
        description: product.description,
        version: product.version,
        category: product.category.map(category_name),
        status: status_name(product.status),
        operations: product.operations.len(),
        from_price: cheapest
            .map(|plan| format!("from {} a month", price(plan.price_monthly, plan.currency))),
    }
}

/// The operations by their first tag, in the document's order.
fn groups(product: &ProductView, document: Option<&Document>, base: &str) -> Vec<OperationGroup> {
    let mut groups: Vec<OperationGroup> = Vec::new();
    for priced in product.operations.iter().take(OPERATIONS_SHOWN) {
        let told = document.and_then(|document| {
            let same = |told: &&Operation| told.method == priced.method && told.path == priced.path;
            document.operations.iter().find(same)
        });
        let tag = priced.tags.first().map_or("General", String::as_str);
        let view = operation(priced, told, base, product.needs_key);
        match groups.iter_mut().find(|group| group.tag == tag) {
            Some(group) => group.operations.push(view),
            None => groups.push(OperationGroup { tag: tag.to_owned(), operations: vec![view] }),
        }
    }
    groups
}

fn operation(
    priced: &Priced,
    told: Option<&Operation>,
    base: &str,
    needs_key: bool,
) -> OperationView {
    let body = told.and_then(|told| told.request_body.as_ref());
    let body = body.map(|body| (body.content_type.clone(), pretty(&body.example)));
    let values = |location, required_only: bool| -> Vec<(String, String)> {
        let own = told.iter().flat_map(|told| &told.parameters);
        let own = own.filter(|own| own.location == location && (own.required || !required_only));
        own.filter_map(|own| Some((own.name.clone(), plain(own.example.as_ref()?)))).collect()
    };
    let call = Call {
        method: &priced.method,
        base,
        path: &priced.path,
        path_values: values(ParameterLocation::Path, false),
        query: values(ParameterLocation::Query, true),
        body: body.clone(),
        key: needs_key.then_some("YOUR_KEY"),
    };
    OperationView {
        method: priced.method.clone(),
        path: priced.path.clone(),
        summary: priced.summary.clone(),
        description: told.map(|told| told.description.clone()).unwrap_or_default(),
        deprecated: priced.deprecated,
        scopes: if needs_key { priced.scopes.clone() } else { Vec::new() },
        units: priced.units,
        parameters: told.map(parameters).unwrap_or_default(),
        body,
        responses: told.map(responses).unwrap_or_default(),
        curl: curl(&call),
    }
}

fn parameters(told: &Operation) -> Vec<ParameterRow> {
    let row = |own: &keytoll_apispec::Parameter| ParameterRow {
        name: own.name.clone(),
        location: match own.location {
            ParameterLocation::Query => "query",
            ParameterLocation::Path => "path",
            ParameterLocation::Header => "header",
            ParameterLocation::Cookie => "cookie",
        },
        kind: own.kind.clone(),
        required: own.required,
        description: own.description.clone(),
        example: own.example.as_ref().map(plain).filter(|text| text.len() <= 200),
    };
    told.parameters.iter().map(row).collect()
}

fn responses(told: &Operation) -> Vec<ResponseRow> {
    let row = |own: &keytoll_apispec::Response| ResponseRow {
        status: own.status.clone(),
        description: own.description.clone(),
        example: own.example.as_ref().map(pretty),
    };
    told.responses.iter().map(row).collect()
}

/// A text as itself, anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn pretty(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    match text.floor_char_boundary(EXAMPLE_MAX_BYTES) {
        end if end < text.len() => format!("{}\n…", &text[..end]),
        _ => text,
    }
}
