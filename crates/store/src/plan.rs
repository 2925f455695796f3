//! Published plan versions: added, never edited.

use keytoll_domain::catalog::Plan;
use keytoll_domain::ids::PlanSlug;

use crate::db::query::{Row, statements};
use crate::{Result, Tx};

statements! { "plans";
    INSERT = "INSERT INTO plans (slug, version, terms, published_at) VALUES ($1, $2, $3, $4)";
    BY_VERSION = "SELECT slug, terms FROM plans WHERE slug = $1 AND version = $2";
    LATEST = "SELECT slug, terms FROM plans WHERE slug = $1 ORDER BY version DESC LIMIT 1";
    PAGE = "SELECT slug, terms FROM plans p WHERE slug > $1 \
        AND version = (SELECT MAX(version) FROM plans latest WHERE latest.slug = p.slug) ORDER BY slug LIMIT $2";
    VERSIONS = "SELECT slug, terms FROM plans ORDER BY slug, version";
}

pub async fn plan_insert(tx: &mut Tx, plan: &Plan) -> Result<()> {
    tx.query(INSERT)
        .text(&plan.slug)
        .count(plan.version.into())
        .json(plan)?
        .time(plan.published_at)
        .execute()
        .await?;
    Ok(())
}

pub async fn plan_by_version(tx: &mut Tx, slug: &PlanSlug, version: u32) -> Result<Option<Plan>> {
    tx.query(BY_VERSION).text(slug).count(version.into()).one(plan).await
}

/// The version for sale.
pub async fn plan_latest(tx: &mut Tx, slug: &PlanSlug) -> Result<Option<Plan>> {
    tx.query(LATEST).text(slug).one(plan).await
}

/// The versions for sale by slug, after the cursor.
pub async fn plan_page(tx: &mut Tx, after: Option<&PlanSlug>, limit: u32) -> Result<Vec<Plan>> {
    let after = after.map_or("", |slug| slug.as_str());
    tx.query(PAGE).text(after).big(limit.into()).all(plan).await
}

/// Every version ever published, for the gateway's snapshot: subscriptions hold old ones.
pub async fn plan_versions(tx: &mut Tx) -> Result<Vec<Plan>> {
    tx.query(VERSIONS).all(plan).await
}

fn plan(row: &Row) -> Result<Plan> {
    row.json("terms")
}
