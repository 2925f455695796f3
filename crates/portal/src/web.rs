//! Handlers of the pages: parse, authorise, ask the use case, answer.
//!
//! Every change is a POST of a form that is answered with 303, with the form again and 422, or, where a
//! secret is shown once, with that page and `no-store`.

mod account;
mod answer;
mod billing;
mod catalog;
mod curl;
mod dashboard;
mod fields;
mod keys;
mod spend_cap;
mod staff;
mod visitor;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;

use crate::csrf;
use crate::pages::error::ErrorPage;
use crate::state::Portal;
use visitor::Visitor;

pub(crate) fn routes() -> Router<Portal> {
    Router::new()
        .route("/", get(dashboard::home))
        .route("/dashboard", get(dashboard::home))
        .route("/signup", get(account::sign_up_form).post(account::sign_up))
        .route("/login", get(account::log_in_form).post(account::log_in))
        .route("/logout", post(account::log_out))
        .route("/theme", post(account::theme))
        .route("/partner", post(account::partner))
        .route("/catalog", get(catalog::list))
        .route("/catalog/{product}", get(catalog::show))
        .route("/products", get(catalog::list))
        .route("/products/{product}", get(catalog::show))
        .route("/plans", get(billing::plans))
        .route("/plans/{plan}/subscribe", get(billing::subscribe_form).post(billing::subscribe))
        .route("/subscriptions", get(billing::subscriptions))
        .route("/subscriptions/{id}/cancel", get(billing::cancel_form).post(billing::cancel))
        .route("/subscriptions/{id}/spend-cap", get(spend_cap::form).post(spend_cap::set))
        .route("/keys", get(keys::list))
        .route("/keys/new", get(keys::create_form).post(keys::create))
        .route("/keys/{id}", get(keys::show))
        .route("/keys/{id}/roll", get(keys::roll_form).post(keys::roll))
        .route("/keys/{id}/revoke", get(keys::revoke_form).post(keys::revoke))
        .route("/usage", get(dashboard::usage))
        .route("/invoices", get(billing::invoices))
        .route("/invoices/{id}", get(billing::invoice))
        .route("/staff", get(staff::overview))
        .route("/staff/products", get(staff::products))
        .route("/staff/partners", get(staff::partners))
        .route("/staff/keys", get(staff::keys))
        .fallback(not_found)
}

/// `404` for every address that is no page.
async fn not_found(visitor: Visitor) -> Response {
    answer::page(&visitor.shell, StatusCode::NOT_FOUND, &ErrorPage::not_found())
}

/// Refuses changes that another site's page asks for.
pub(crate) async fn own_site_only(
    State(portal): State<Portal>,
    request: Request,
    next: Next,
) -> Response {
    if csrf::check(request.method(), request.headers(), &portal.public_url).is_ok() {
        return next.run(request).await;
    }
    let shell = answer::bare_shell(request.headers(), request.uri());
    answer::page(&shell, StatusCode::FORBIDDEN, &ErrorPage::cross_site()).into_response()
}

#[cfg(test)]
mod tests;
