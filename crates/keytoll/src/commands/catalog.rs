//! `apply`, `product`, `subscribe`: what is for sale, and who has bought it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use keytoll_control::catalog::{self, Action, ApplyError, Change, Kind, SpecReader as _};
use keytoll_control::page::PageRequest;
use keytoll_control::products::{ImportProduct, ProductDraft};
use keytoll_control::subscriptions::{NewAnchor, NewSubscription};
use keytoll_control::{Actor, Ctx, Denied, products, receipts, subscriptions};
use keytoll_domain::catalog::Maintenance;
use serde_json::{Value, json};

use super::faults;
use crate::cli::{ProductCommand, Switch};
use crate::config::Config;
use crate::output::{Output, table};
use crate::signing;
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
    for address in draft.addresses() {
        if let Err(error) = keytoll_gateway::check_upstream_url(address) {
            change.details.push(format!("calls will fail: {error}"));
        }
    }
    let tls = draft.settings.as_ref().and_then(|settings| settings.upstream_options.tls.as_ref());
    if let Some(Err(error)) = tls.map(keytoll_gateway::check_upstream_tls) {
        change.details.push(format!("calls over https will fail: {error}"));
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

pub async fn product(
    ctx: &Ctx,
    config: &Config,
    command: ProductCommand,
    output: Output,
) -> Result<()> {
    match command {
        ProductCommand::Import { id, spec, upstream, sandbox } => {
            let change = import(ctx, &id, &spec, &upstream, sandbox.as_deref()).await?;
            receipts::settle(ctx).await?;
            let document =
                json!({ "id": change.id, "action": change.action, "details": change.details });
            output.print(&document, || format!("product {}: {}", change.id, action(change.action)))
        }
        ProductCommand::List => list(ctx, output).await,
        ProductCommand::Show { id } => show(ctx, &id, output).await,
        ProductCommand::SigningSecret { id } => signing_secret(ctx, config, &id, output).await,
        ProductCommand::Maintenance { id, state, message, until } => {
            let until = until.map(|text| products::moment(&text)).transpose();
            let until = until.map_err(anyhow::Error::msg).context("--until")?;
            let asked = Maintenance { message, until };
            if state == Switch::Off && asked != Maintenance::default() {
                bail!("--message and --until are for `on`");
            }
            maintenance(ctx, &id, (state == Switch::On).then_some(asked), output).await
        }
    }
}

async fn show(ctx: &Ctx, id: &str, output: Output) -> Result<()> {
    let slug = products::product_id(id).map_err(anyhow::Error::msg)?;
    let found = products::show(ctx, &Actor::cli(), &slug).await?;
    let found = found.with_context(|| format!("there is no product `{id}`"))?;
    let document = serde_json::to_value(&found)?;
    output.print(&document, || describe_product(&document))
}

/// Every product has one, whether it signs or not, so that its upstream can be told first.
async fn signing_secret(ctx: &Ctx, config: &Config, id: &str, output: Output) -> Result<()> {
    let slug = products::product_id(id).map_err(anyhow::Error::msg)?;
    let found = products::show(ctx, &Actor::cli(), &slug).await?;
    found.with_context(|| format!("there is no product `{id}`"))?;
    let secret = signing::secret(config)?.of_product(slug.as_str());
    output.print(&json!({ "id": slug, "secret": secret }), || secret.clone())
}

/// One line a member, settings below; operations one a line.
fn describe_product(document: &Value) -> String {
    let mut text = String::new();
    let members = document.as_object().into_iter().flatten();
    let (settings, own): (Vec<_>, Vec<_>) = members.partition(|(name, _)| *name == "settings");
    for (name, value) in own {
        describe_member(&mut text, name, value);
    }
    let settings = settings.into_iter().filter_map(|(_, value)| value.as_object()).flatten();
    for (name, value) in settings.filter(|(name, _)| document.get(name).is_none()) {
        describe_member(&mut text, name, value);
    }
    text.truncate(text.trim_end().len());
    text
}

fn describe_member(text: &mut String, name: &str, value: &Value) {
    let operations = match value {
        Value::Array(list) if name == "operations" => list.as_slice(),
        Value::Array(list) if list.is_empty() => return,
        Value::Object(members) if members.is_empty() => return,
        Value::Null => return,
        Value::String(value) => {
            let _ = writeln!(text, "{name}: {value}");
            return;
        }
        other => {
            let _ = writeln!(text, "{name}: {other}");
            return;
        }
    };
    let _ = writeln!(text, "operations: {}", operations.len());
    for operation in operations {
        let part = |member: &str| operation[member].as_str().unwrap_or_default();
        let _ = writeln!(text, "    {} {}", part("method"), part("path"));
    }
}

async fn maintenance(
    ctx: &Ctx,
    id: &str,
    asked: Option<Maintenance>,
    output: Output,
) -> Result<()> {
    let slug = products::product_id(id).map_err(anyhow::Error::msg)?;
    let on = asked.is_some();
    let change = match products::set_maintenance(ctx, &Actor::cli(), &slug, asked).await {
        Ok(change) => change,
        Err(ApplyError::Denied(Denied::NotFound)) => bail!("there is no product `{id}`"),
        Err(ApplyError::Faults(list)) => return Err(faults("nothing was changed:", &list)),
        Err(error) => return Err(error.into()),
    };
    receipts::settle(ctx).await?;
    let document = json!({ "id": change.id, "action": change.action, "maintenance": on });
    let state = if on { "answers 503 to every call" } else { "is served" };
    output.print(&document, || format!("product {id} {state} ({})", action(change.action)))
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
    use keytoll_domain::catalog::{ProductSettings, UpstreamOptions, UpstreamTls};

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
        let told = |upstream, ca: Option<&str>| {
            let id = "tracking".to_owned();
            let action = Action::Created;
            let mut change = Change { kind: Kind::Product, id, action, details: Vec::new() };
            let mut draft = request(upstream).read().expect("a draft");
            let tls = ca.map(|ca| UpstreamTls { ca: Some(ca.into()), ..UpstreamTls::default() });
            let upstream_options = UpstreamOptions { tls, ..UpstreamOptions::default() };
            draft.settings =
                Some(ProductSettings { upstream_options, ..ProductSettings::default() });
            warn_of_addresses(&draft, std::slice::from_mut(&mut change));
            change.details
        };
        for fine in ["http://127.0.0.1:9000/t", "https://api.example.com"] {
            assert_eq!(told(fine, None), Vec::<String>::new());
        }
        let details = told("https://api.example.com", Some("/nowhere/ca.pem"));
        let start = "calls over https will fail: cannot read `/nowhere/ca.pem`";
        assert!(details[0].starts_with(start), "{details:?}");
    }
}
