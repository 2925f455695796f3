//! Creating a key: the form, what is wrong with it, and the one page that shows the secret.

use axum::response::Response;
use keytoll_control::fault::Fault;
use keytoll_control::keys::{self, IssueError, KeyView, NewKey, RateLimit};
use keytoll_control::page::PageRequest;
use keytoll_control::products::ProductView;
use keytoll_control::subscriptions;
use keytoll_domain::ids::KeyId;
use keytoll_domain::key::{Environment, KeyWindows, PARTNER_RATE_LIMIT_MAX};
use keytoll_domain::subscription::SubscriptionStatus;
use keytoll_domain::time::Timestamp;

use super::{plan_of, products_of, secret_page};
use crate::pages::key_forms::{self as forms, KeyForm};
use crate::ui::form::Problems;
use crate::ui::text::counted;
use crate::web::answer::{Stop, ok, refused, secret};
use crate::web::fields::Fields;
use crate::web::visitor::Member;

const SUBSCRIPTIONS_OFFERED: u32 = 100;

/// `GET /keys/new`
pub(in crate::web) async fn create_form(member: Member) -> Result<Response, Stop> {
    let form = KeyForm {
        subscription: member.visitor.query.text("subscription"),
        environment: "live".into(),
        scopes: vec!["*".into()],
        ..KeyForm::default()
    };
    let page = create_page(&member, form, Problems::default()).await?;
    if page.subscriptions.is_empty() {
        return Err(Stop::Elsewhere("/keys".into()));
    }
    Ok(ok(&member.visitor.shell, &page))
}

/// `POST /keys/new`
pub(in crate::web) async fn create(member: Member, fields: Fields) -> Result<Response, Stop> {
    let visitor = &member.visitor;
    let form = KeyForm {
        name: fields.text("name"),
        subscription: fields.text("subscription"),
        environment: fields.text("environment"),
        scopes: fields.all("scopes"),
        rate_limit_per_minute: fields.text("rate_limit_per_minute"),
        allowed_ips: fields.raw("allowed_ips").replace('\r', ""),
        expires_at: fields.text("expires_at"),
    };
    let mut problems = Problems::default();
    let new = read(&form, &member, &mut problems);
    if problems.is_empty() {
        match keys::issue(visitor.ctx(), &member.actor, new).await {
            Ok(issued) => {
                let view = shown(&member, issued.key.id).await?;
                let page = secret_page(visitor, &view, issued.secret, None).await?;
                return Ok(secret(ok(&visitor.shell, &page)));
            }
            Err(IssueError::Denied(denied)) => return Err(visitor.stop(denied)),
            Err(IssueError::Store(error)) => return Err(visitor.stop(error)),
            Err(error) => tell(&error, &mut problems),
        }
    }
    let page = create_page(&member, form, problems).await?;
    Ok(refused(&visitor.shell, &page))
}

async fn shown(member: &Member, id: KeyId) -> Result<KeyView, Stop> {
    let found = keys::show(member.visitor.ctx(), &member.actor, id).await;
    found.map_err(|error| member.visitor.stop(error))
}

/// The form as a request; what cannot even be read is a problem here, the rest is control's to judge.
fn read(form: &KeyForm, member: &Member, problems: &mut Problems) -> NewKey {
    let rate_limit = match form.rate_limit_per_minute.replace(',', "").as_str() {
        "" => RateLimit::PlanOnly,
        text => text.parse().map_or_else(
            |_| {
                problems.add("rate_limit_per_minute", LIMIT_RULE);
                RateLimit::PlanOnly
            },
            RateLimit::PerMinute,
        ),
    };
    let expires_at = match form.expires_at.as_str() {
        "" => None,
        text => {
            let at = utc(text);
            if at.is_none() {
                problems.add("expires_at", "Write a date and time such as 2027-01-31T12:00.");
            }
            at
        }
    };
    let environment = Environment::parse(&form.environment).unwrap_or_else(|| {
        problems.add("environment", "Choose live or test.");
        Environment::Live
    });
    let lines = form.allowed_ips.split(['\n', ',']).map(str::trim).filter(|line| !line.is_empty());
    NewKey {
        partner: Some(member.partner),
        subscription: form.subscription.parse().ok(),
        name: form.name.clone(),
        scopes: form.scopes.clone(),
        environment,
        products: None,
        rate_limit,
        windows: KeyWindows::default(),
        allowed_ips: lines.map(str::to_owned).collect(),
        expires_at,
    }
}

const LIMIT_RULE: &str = "Choose a limit from 1 to 10,000 a minute, or leave it empty.";

/// What `datetime-local` sends, read as UTC.
fn utc(text: &str) -> Option<Timestamp> {
    let text = if text.len() == "2027-01-31T12:00".len() {
        format!("{text}:00Z")
    } else {
        format!("{text}Z")
    };
    text.parse().ok()
}

fn tell(error: &IssueError, problems: &mut Problems) {
    match error {
        IssueError::Invalid(faults) => faults.iter().for_each(|fault| tell_fault(fault, problems)),
        IssueError::ScopeUnknown { scope, .. } => {
            problems
                .add("scopes", format!("The plan has no scope “{scope}”. Choose from the list."));
        }
        IssueError::SubscriptionRequired => {
            problems.add("subscription", "Choose the subscription the key belongs to.");
        }
        IssueError::SubscriptionInactive => {
            problems.add("", "This subscription is not active. Choose another plan first.");
        }
        IssueError::TooMany { limit } => problems.add(
            "",
            format!(
                "You have {}, the most allowed. Revoke one that is no longer needed.",
                counted((*limit).into(), "active key", "active keys")
            ),
        ),
        IssueError::Denied(_) | IssueError::Store(_) => {}
    }
}

fn tell_fault(fault: &Fault, problems: &mut Problems) {
    let member = fault.pointer.split('/').nth(1).unwrap_or_default();
    match member {
        "name" => problems.add("name", format!("Give the key a name: {}.", fault.message)),
        "scopes" => {
            problems.add("scopes", format!("Choose scopes from the list: {}.", fault.message));
        }
        "rateLimitPerMinute" => problems.add("rate_limit_per_minute", LIMIT_RULE),
        "allowedIPs" => {
            let place = fault.pointer.rsplit('/').next().and_then(|at| at.parse::<usize>().ok());
            let place = place.map_or_else(String::new, |at| format!("Entry {}: ", at + 1));
            problems.add("allowed_ips", format!("{place}{}.", fault.message));
        }
        "expiresAt" => problems.add("expires_at", format!("This time {}.", fault.message)),
        _ => problems.add("", fault.message.clone()),
    }
}

async fn create_page(
    member: &Member,
    form: KeyForm,
    problems: Problems,
) -> Result<forms::NewKey, Stop> {
    let offers = offers(member).await?;
    let mut scopes: Vec<(String, String)> = Vec::new();
    for product in offers.iter().flat_map(|offer| &offer.products) {
        for scope in &product.scopes {
            if !scopes.iter().any(|(known, _)| known == scope) {
                let opens = |alternatives: &Vec<Vec<String>>| {
                    alternatives.iter().flatten().any(|own| own == scope)
                };
                let count =
                    product.operations.iter().filter(|operation| opens(&operation.scopes)).count();
                let about = format!(
                    "{}: {}",
                    product.name,
                    counted(count as u64, "operation", "operations")
                );
                scopes.push((scope.clone(), about));
            }
        }
    }
    let subscriptions = offers.into_iter().map(|offer| {
        let names: Vec<String> = offer.products.into_iter().map(|product| product.name).collect();
        (offer.subscription, offer.plan, names.join(", "))
    });
    let subscriptions: Vec<_> = subscriptions.collect();
    let mut form = form;
    if form.subscription.is_empty()
        && let Some((id, _, _)) = subscriptions.first()
    {
        form.subscription.clone_from(id);
    }
    Ok(forms::NewKey {
        form,
        problems,
        subscriptions,
        scopes,
        rate_limit_max: PARTNER_RATE_LIMIT_MAX,
    })
}

/// An active subscription and what it opens.
pub(super) struct Offer {
    subscription: String,
    plan: String,
    products: Vec<ProductView>,
}

pub(super) async fn offers(member: &Member) -> Result<Vec<Offer>, Stop> {
    let visitor = &member.visitor;
    let page = PageRequest { cursor: None, limit: SUBSCRIPTIONS_OFFERED };
    let found = subscriptions::list(visitor.ctx(), &member.actor, Some(member.partner), page).await;
    let found = found.map_err(|error| visitor.stop(error))?;
    let mut offers = Vec::new();
    for subscription in found.iter().filter(|found| found.status == SubscriptionStatus::Active) {
        let plan = plan_of(visitor, &subscription.plan).await?;
        offers.push(Offer {
            subscription: subscription.id.to_string(),
            plan: plan
                .as_ref()
                .map_or_else(|| subscription.plan.to_string(), |plan| plan.name.clone()),
            products: products_of(visitor, plan.as_ref()).await?,
        });
    }
    Ok(offers)
}
