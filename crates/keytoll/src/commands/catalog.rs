//! `apply`, `product`, `subscribe`: what is for sale, and who has bought it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use keytoll_control::catalog::{self, Action, ApplyError, Change, Kind, SpecReader as _};
use keytoll_control::page::PageRequest;
use keytoll_control::products::{ImportProduct, ProductDraft};
use keytoll_control::subscriptions::{NewAnchor, NewSubscription};
use keytoll_control::{Actor, Ctx, products, receipts, subscriptions};
use serde_json::json;

use super::faults;
use crate::cli::ProductCommand;
use crate::output::{Output, table};
use crate::specs::Specs;

pub async fn apply(ctx: &Ctx, file: &Path, dry_run: bool, output: Output) -> Result<()> {
    let text = read_text(file)?;
    let folder = file.parent().map(Path::to_owned).unwrap_or_default();
    let refused = |list: Vec<_>| faults(&format!("{} was not applied:", file.display()), &list);
    let specs = Specs::in_folder(&folder);
    let parsed = tokio::task::spawn_blocking(move || catalog::parse(&text, &specs)).await?;
    let catalogue = parsed.map_err(refused)?;
    let mut changes = match catalog::apply(ctx, &Actor::cli(), &catalogue, dry_run).await {
        Ok(changes) => changes,
        Err(ApplyError::Faults(list)) => return Err(refused(list)),
        Err(error) => return Err(error.into()),
    };
    for draft in &catalogue.products {
        warn_of_addresses(draft, &mut changes);
    }
    if !dry_run {
        receipts::settle(ctx).await?;
    }
    let document = json!({ "dry_run": dry_run, "changes": changes });
    output.print(&document, || describe(&changes, dry_run))
}

/// An address may be right and yet be none that the gateway can call.
fn warn_of_addresses(draft: &ProductDraft, changes: &mut [Change]) {
    let own = |change: &&mut Change| change.kind == Kind::Product && change.id == draft.id.as_str();
    let Some(change) = changes.iter_mut().find(own) else { return };
    for address in [&draft.upstream, &draft.sandbox].into_iter().flatten() {
        if let Err(error) = keytoll_gateway::check_upstream_url(address) {
            change.details.push(format!("calls will fail: {error}"));
        }
    }
}

fn read_text(file: &Path) -> Result<String> {
    let size =
        std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
    if size > catalog::MAX_BYTES as u64 {
        bail!(
            "{} has {size} bytes; a catalogue has at most {}",
            file.display(),
            catalog::MAX_BYTES
        );
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn describe(changes: &[Change], dry_run: bool) -> String {
    let mut text = String::new();
    let told = |change: &&Change| change.action != Action::Unchanged || !change.details.is_empty();
    for change in changes.iter().filter(told) {
        let _ = writeln!(text, "{} {}: {}", kind(change.kind), change.id, action(change.action));
        for detail in &change.details {
            let _ = writeln!(text, "    {detail}");
        }
    }
    let unchanged = changes.iter().filter(|change| change.action == Action::Unchanged).count();
    let _ = write!(text, "{unchanged} unchanged.");
    if dry_run {
        text.push_str(" Nothing was written (dry run).");
    }
    text
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Product => "product",
        Kind::Plan => "plan",
    }
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Created => "created",
        Action::Updated => "updated",
        Action::Unchanged => "unchanged",
        Action::NewVersion => "new version",
    }
}

pub async fn product(ctx: &Ctx, command: ProductCommand, output: Output) -> Result<()> {
    match command {
        ProductCommand::Import { id, spec, upstream, sandbox } => {
            let change = import(ctx, &id, &spec, &upstream, sandbox.as_deref()).await?;
            receipts::settle(ctx).await?;
            let document =
                json!({ "id": change.id, "action": change.action, "details": change.details });
            output.print(&document, || format!("product {}: {}", change.id, action(change.action)))
        }
        ProductCommand::List => list(ctx, output).await,
    }
}

async fn import(
    ctx: &Ctx,
    id: &str,
    spec: &str,
    upstream: &str,
    sandbox: Option<&str>,
) -> Result<Change> {
    let specs = Specs::in_folder(Path::new(""));
    let bytes = specs.read(spec).map_err(anyhow::Error::msg)?;
    let loader = |relative: &str| specs.read_beside(spec, relative);
    let request = ImportProduct {
        id,
        spec: bytes,
        loader: Some(&loader),
        upstream: Some(upstream),
        sandbox,
        settings: None,
    };
    let refused = |list: Vec<_>| faults(&format!("{spec} was not imported as `{id}`:"), &list);
    let draft = request.read().map_err(refused)?;
    match products::import(ctx, &Actor::cli(), &draft).await {
        Ok(mut change) => {
            warn_of_addresses(&draft, std::slice::from_mut(&mut change));
            Ok(change)
        }
        Err(ApplyError::Faults(list)) => Err(refused(list)),
        Err(error) => Err(error.into()),
    }
}

async fn list(ctx: &Ctx, output: Output) -> Result<()> {
    let mut found = Vec::new();
    let mut page = PageRequest::default();
    loop {
        let rows = products::list(ctx, &Actor::cli(), &page).await?;
        let Some(last) = rows.last() else { break };
        page.cursor = Some(last.id.clone());
        found.extend(rows);
    }
    let row = |product: &products::ProductView| {
        let operations = product.operations.len().to_string();
        vec![product.id.to_string(), product.version.clone(), operations, product.name.clone()]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    let header = ["ID", "VERSION", "OPERATIONS", "NAME"];
    output.print(&json!({ "products": found }), || table(&header, &rows))
}

pub async fn subscribe(
    ctx: &Ctx,
    partner: &str,
    plan: &str,
    anniversary: bool,
    output: Output,
) -> Result<()> {
    let partner = partner.parse().with_context(|| format!("--partner `{partner}`"))?;
    let anchor = if anniversary { NewAnchor::Anniversary } else { NewAnchor::Calendar };
    let new = NewSubscription { partner: Some(partner), plan: plan.to_owned(), anchor };
    let made = subscriptions::create(ctx, &Actor::cli(), &new).await?;
    receipts::settle(ctx).await?;
    output.print(&made, || format!("Created subscription {} to {}.", made.id, made.plan))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_the_gateway_cannot_call_is_told() {
        let spec = br#"{"openapi": "3.0.0", "info": {"title": "T", "version": "1"}, "paths": {}}"#;
        let request = |upstream| ImportProduct {
            id: "tracking",
            spec: spec.to_vec(),
            upstream: Some(upstream),
            ..ImportProduct::default()
        };
        let told = |upstream| {
            let id = "tracking".to_owned();
            let action = Action::Created;
            let mut change = Change { kind: Kind::Product, id, action, details: Vec::new() };
            let draft = request(upstream).read().expect("a draft");
            warn_of_addresses(&draft, std::slice::from_mut(&mut change));
            change.details
        };
        assert_eq!(told("http://127.0.0.1:9000/t"), Vec::<String>::new());
        let details = told("https://api.example.com");
        assert!(details[0].starts_with("calls will fail: upstream"), "{details:?}");
    }
}
