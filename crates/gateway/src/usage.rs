//! `GET /{product}/.keytoll/usage`: where a key stands. No call, consumes nothing.

use keytoll_domain::key::Environment;
use keytoll_domain::limits::{LimitName, Standing, Standings};
use keytoll_domain::period::period_at;
use keytoll_domain::refusal::Refusal;
use serde_json::{Value, json};

use crate::admit::{self, Asked};
use crate::answer::{Answer, Context, ceil_secs};
use crate::call::Start;
use crate::client::Client;
use crate::core::Core;
use crate::own;
use crate::request::Request;
use crate::route::ProductRoute;

pub(crate) async fn serve(
    core: &Core,
    start: &Start,
    client: &Client,
    request: &Request,
    product: &ProductRoute,
) -> Answer {
    let context = Context { texts: product.texts, allow: Some("GET, HEAD"), ..Context::default() };
    match answer_of(core, start, client, request, product).await {
        Ok(answer) => answer,
        Err(refusal) => own::refusal_answer(core, start, refusal, &context),
    }
}

async fn answer_of(
    core: &Core,
    start: &Start,
    client: &Client,
    request: &Request,
    product: &ProductRoute,
) -> Result<Answer, Refusal> {
    let shared = &core.shared;
    let found = product.key_from.find(&request.fields, request.query())?;
    let key = admit::any_known_key(shared, &found.secret, start.at).await?;
    if !request.is_read() {
        return Err(Refusal::MethodNotAllowed);
    }
    let asked = Asked {
        now: start.at,
        product: Some(product),
        found: None,
        address: Some(shared.client_address(client, &request.fields)),
        proxied: false,
        units: None,
    };
    admit::judge(&key, &asked)?;
    let standings = admit::standings(&key, start.at);
    let state = key.subscription.state.load();
    let period = period_at(state.anchor, start.at);
    let used = match key.environment {
        Environment::Live => key.subscription_cell().period_units(period.start),
        Environment::Test => 0,
    };
    let quota = standings.iter().find(|one| one.name == LimitName::Quota).map_or(Value::Null, |one| {
        json!({"limit": one.limit, "used": used, "remaining": one.remaining, "reset": ceil_secs(one.reset.0)})
    });
    let spend = key.spend(&state).map_or(Value::Null, |spend| {
        let cap = spend.units();
        let first = cap.period_start == period.start;
        let units = if first { cap.units } else { cap.otherwise };
        json!({"cap_minor": spend.cap_minor, "units_cap": (units < u64::MAX).then_some(units)})
    });
    let body = json!({
        "plan": state.plan.slug.as_ref().map(ToString::to_string),
        "environment": key.environment.as_str(),
        "units": used,
        "quota": quota,
        "ratelimits": ratelimits(&standings),
        "spend": spend,
    });
    let mut answer = Answer::json(start.id, body.to_string().into());
    core.put_limits(&mut answer.head, &standings, None, start.at);
    Ok(answer)
}

/// Where limits stand, by their names.
fn ratelimits(standings: &Standings) -> Value {
    let row = |one: Standing| {
        json!({
            "name": one.name.as_str(),
            "limit": one.limit,
            "remaining": one.remaining,
            "reset": ceil_secs(one.reset.0),
        })
    };
    standings.iter().map(row).collect()
}
