//! Signing up, logging in and out, and what the frame's switches choose.

use axum::extract::State;
use axum::response::Response;
use http::HeaderValue;
use keytoll_control::fault::Fault;
use keytoll_control::users::{self, LogIn, LogInError, Password, SignUp, SignUpError};
use keytoll_domain::ids::PartnerId;

use super::answer::{Stop, local_path, ok, refused, see_other, with_cookie};
use super::fields::Fields;
use super::visitor::{PARTNER_COOKIE, SignedIn, Visitor};
use crate::cookie;
use crate::pages::account as pages;
use crate::state::Portal;
use crate::ui::Theme;
use crate::ui::form::Problems;

const YEAR_SECS: u32 = 365 * 86_400;

/// `GET /signup`
pub(super) async fn sign_up_form(visitor: Visitor) -> Response {
    if visitor.session.is_some() {
        return see_other("/");
    }
    ok(&visitor.shell, &pages::SignUp { next: visitor.query.text("next"), ..Default::default() })
}

/// `POST /signup`
pub(super) async fn sign_up(visitor: Visitor, form: Fields) -> Result<Response, Stop> {
    let new = SignUp {
        email: form.text("email"),
        password: Password::new(form.raw("password").to_owned()),
        partner_name: form.text("partner_name"),
        address: visitor.address.clone(),
    };
    let mut page = pages::SignUp {
        email: new.email.clone(),
        partner_name: new.partner_name.clone(),
        problems: Problems::default(),
        next: form.text("next"),
    };
    match users::sign_up(visitor.ctx(), new).await {
        Ok(signed_in) => {
            let cookie = cookie::set(signed_in.secret.expose(), &visitor.portal.public_url);
            return Ok(with_cookie(see_other(local_path(&page.next)), cookie));
        }
        Err(SignUpError::Invalid(faults)) => page.problems = sign_up_problems(&faults),
        Err(SignUpError::EmailTaken) => {
            page.problems.add(
                "email",
                "There is already an account with this e-mail address: log in instead.",
            );
        }
        Err(SignUpError::TooMany { retry_after_secs }) => {
            page.problems.add("", too_many(retry_after_secs));
        }
        Err(SignUpError::Busy) => page.problems.add("", BUSY),
        Err(SignUpError::Store(error)) => return Err(visitor.stop(error)),
    }
    Ok(refused(&visitor.shell, &page))
}

/// `GET /login`
pub(super) async fn log_in_form(visitor: Visitor) -> Response {
    let next = visitor.query.text("next");
    if visitor.session.is_some() {
        return see_other(local_path(&next));
    }
    ok(&visitor.shell, &pages::LogIn { next, ..Default::default() })
}

/// `POST /login`
pub(super) async fn log_in(visitor: Visitor, form: Fields) -> Result<Response, Stop> {
    let email = form.text("email");
    let request = LogIn {
        email: email.clone(),
        password: Password::new(form.raw("password").to_owned()),
        address: visitor.address.clone(),
    };
    let mut page = pages::LogIn { email, problems: Problems::default(), next: form.text("next") };
    match users::log_in(visitor.ctx(), request).await {
        Ok(signed_in) => {
            let cookie = cookie::set(signed_in.secret.expose(), &visitor.portal.public_url);
            return Ok(with_cookie(see_other(local_path(&page.next)), cookie));
        }
        Err(LogInError::Wrong) => {
            page.problems.add("", "This e-mail address and password do not belong together.");
        }
        Err(LogInError::TooMany { retry_after_secs }) => {
            page.problems.add("", too_many(retry_after_secs));
        }
        Err(LogInError::Busy) => page.problems.add("", BUSY),
        Err(LogInError::Store(error)) => return Err(visitor.stop(error)),
    }
    Ok(refused(&visitor.shell, &page))
}

/// `POST /logout`
pub(super) async fn log_out(
    State(portal): State<Portal>,
    visitor: Visitor,
    headers: http::HeaderMap,
) -> Result<Response, Stop> {
    if let Some(secret) = cookie::session(&headers, &portal.public_url) {
        users::log_out(&portal.ctx, &secret).await.map_err(|error| visitor.stop(error))?;
    }
    Ok(with_cookie(see_other("/login"), cookie::clear(&portal.public_url)))
}

/// `POST /theme`
pub(super) async fn theme(State(portal): State<Portal>, form: Fields) -> Response {
    let chosen = Theme::parse(form.raw("theme")).unwrap_or_default();
    with_cookie(see_other(local_path(form.raw("here"))), choice(&portal, "theme", chosen.as_str()))
}

/// `POST /partner`: which of their partners somebody works for.
pub(super) async fn partner(signed_in: SignedIn, form: Fields) -> Result<Response, Stop> {
    let chosen: Option<PartnerId> = form.text("partner").parse().ok();
    let Some(chosen) = chosen.filter(|id| signed_in.actor.role_in(*id).is_some()) else {
        return Err(signed_in.visitor.not_found());
    };
    let cookie = choice(&signed_in.visitor.portal, PARTNER_COOKIE, &chosen.to_string());
    Ok(with_cookie(see_other("/"), cookie))
}

const BUSY: &str = "Too many people are logging in at this moment. Try again in a few seconds.";

fn too_many(retry_after_secs: u32) -> String {
    format!("Too many attempts. Wait {retry_after_secs} seconds, then try again.")
}

fn sign_up_problems(faults: &[Fault]) -> Problems {
    let mut problems = Problems::default();
    for fault in faults {
        match fault.pointer.as_str() {
            "/email" => {
                problems.add("email", "Write an e-mail address, such as you@company.example.");
            }
            "/password" => {
                problems.add("password", format!("Use a password of {}.", fault.message));
            }
            "/partner_name" => problems
                .add("partner_name", format!("Give your organisation's name: {}.", fault.message)),
            _ => problems.add("", fault.message.clone()),
        }
    }
    problems
}

/// A cookie that is no secret: it lasts a year and scripts may read it.
fn choice(portal: &Portal, name: &str, value: &str) -> Option<HeaderValue> {
    let secure = if portal.public_url.https { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={YEAR_SECS}; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).ok()
}
