//! The spend cap of a subscription.

use axum::extract::Path;
use axum::response::Response;
use keytoll_control::subscriptions::{self, SetTermsError, Spending, TermsPatch};
use keytoll_domain::ids::SubscriptionId;

use super::answer::{Stop, Trouble, ok, refused, see_other};
use super::fields::Fields;
use super::visitor::SignedIn;
use crate::pages::spend_cap::SpendCap;
use crate::ui::form::Problems;
use crate::ui::text::money;

/// `GET /subscriptions/{id}/spend-cap`
pub(super) async fn form(signed_in: SignedIn, Path(id): Path<String>) -> Result<Response, Stop> {
    let id = parse(&signed_in, &id)?;
    let spending = spending(&signed_in, id).await?;
    let value = spending.subscription.spend_cap.clone().unwrap_or_default();
    let page = page(&spending, value, Problems::default());
    Ok(ok(&signed_in.visitor.shell, &page))
}

/// `POST /subscriptions/{id}/spend-cap`: an empty field returns to the plan's cap.
pub(super) async fn set(
    signed_in: SignedIn,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Stop> {
    let (visitor, id) = (&signed_in.visitor, parse(&signed_in, &id)?);
    let typed = fields.text("spend_cap");
    let amount = typed.replace(',', "");
    let spend_cap = (!amount.is_empty()).then_some(amount);
    let patch = TermsPatch { spend_cap: Some(spend_cap), ..TermsPatch::default() };
    match subscriptions::set_terms(visitor.ctx(), &signed_in.actor, id, &patch).await {
        Ok(_) => Ok(see_other("/subscriptions")),
        Err(SetTermsError::Invalid(_)) => {
            let spending = spending(&signed_in, id).await?;
            let rule = format!("Write an amount of {} such as 500.", spending.currency);
            let page = page(&spending, typed, Problems::from(("spend_cap", rule.as_str())));
            Ok(refused(&visitor.shell, &page))
        }
        Err(error) => Err(visitor.stop(error)),
    }
}

fn parse(signed_in: &SignedIn, id: &str) -> Result<SubscriptionId, Stop> {
    id.parse().map_err(|_| signed_in.visitor.not_found())
}

async fn spending(signed_in: &SignedIn, id: SubscriptionId) -> Result<Spending, Stop> {
    let visitor = &signed_in.visitor;
    let found = subscriptions::spending(visitor.ctx(), &signed_in.actor, id).await;
    found.map_err(|error| visitor.stop(error))
}

fn page(found: &Spending, value: String, problems: Problems) -> SpendCap {
    let shown = |amount| money(amount, found.currency);
    SpendCap {
        id: found.subscription.id.to_string(),
        plan: found.plan_name.clone(),
        currency: found.currency.code().to_owned(),
        spent: shown(found.spent),
        units: found.units,
        fee: shown(found.fee),
        cap: found.cap.map(shown),
        units_cap: found.units_cap,
        plan_cap: found.plan_cap.map(shown),
        value,
        problems,
    }
}

impl From<SetTermsError> for Trouble {
    fn from(error: SetTermsError) -> Self {
        match error {
            SetTermsError::Denied(denied) => denied.into(),
            SetTermsError::Ended => Self::Denied(keytoll_control::Denied::NotFound),
            SetTermsError::Invalid(_) => Self::Broken(error.to_string()),
            SetTermsError::Store(error) => error.into(),
        }
    }
}
