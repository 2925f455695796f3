//! Signing up and logging in.

use maud::{Markup, html};

use crate::ui::form::{Field, Problems};
use crate::ui::part::link_button;
use crate::ui::{Frame, Page};

/// `GET /signup`; passwords are never shown again after a refusal.
#[derive(Clone, Debug, Default)]
pub struct SignUp {
    pub email: String,
    pub partner_name: String,
    pub problems: Problems,
    /// Where to go afterwards: a path of this portal.
    pub next: String,
}

/// `GET /login`
#[derive(Clone, Debug, Default)]
pub struct LogIn {
    pub email: String,
    pub problems: Problems,
    pub next: String,
}

/// `GET /` for whoever is not signed in.
#[derive(Clone, Debug, Default)]
pub struct Landing {
    pub products: usize,
}

impl Page for SignUp {
    fn title(&self) -> String {
        "Sign up".into()
    }
    fn frame(&self) -> Frame {
        Frame::Sheet
    }
    fn body(&self) -> Markup {
        html! {
            div class="sheet" {
                div class="stack" {
                    h1 { "Create your account" }
                    p class="muted" { "Free until you choose a plan. No card needed." }
                }
                form class="card stack" method="post" action="/signup" novalidate {
                    input type="hidden" name="next" value=(self.next);
                    (self.problems.summary())
                    (Field { name: "partner_name", label: "Organisation", value: &self.partner_name,
                        autocomplete: "organization", required: true, max_chars: 100,
                        hint: "Your keys and invoices belong to it.", ..Field::default() }.show(&self.problems))
                    (email(&self.email, &self.problems))
                    (Field { name: "password", label: "Password", kind: "password", autocomplete: "new-password",
                        required: true, hint: "At least 10 characters.", ..Field::default() }.show(&self.problems))
                    button class="button primary full" type="submit" { "Create account" }
                }
                p class="muted" { "Already have an account? " a href=(with_next("/login", &self.next)) { "Log in" } }
            }
        }
    }
}

impl Page for LogIn {
    fn title(&self) -> String {
        "Log in".into()
    }
    fn frame(&self) -> Frame {
        Frame::Sheet
    }
    fn body(&self) -> Markup {
        html! {
            div class="sheet" {
                h1 { "Log in" }
                form class="card stack" method="post" action="/login" novalidate {
                    input type="hidden" name="next" value=(self.next);
                    (self.problems.summary())
                    (email(&self.email, &self.problems))
                    (Field { name: "password", label: "Password", kind: "password",
                        autocomplete: "current-password", required: true, ..Field::default() }.show(&self.problems))
                    button class="button primary full" type="submit" { "Log in" }
                }
                p class="muted" { "New here? " a href=(with_next("/signup", &self.next)) { "Create an account" } }
            }
        }
    }
}

impl Page for Landing {
    fn title(&self) -> String {
        "APIs with a price tag".into()
    }
    fn body(&self) -> Markup {
        html! {
            div {
                section class="hero" {
                    h1 { "From sign-up to your first call in minutes." }
                    p { "Find an API, read its documentation, choose a plan and get a key. Nobody has to approve anything." }
                    div class="buttons" {
                        (link_button("/signup", "primary", "Create account"))
                        (link_button("/catalog", "", "Browse the catalogue"))
                    }
                }
                ol class="card steps" {
                    li { span { b { "Find an API. " } span class="muted" { "Operations, parameters and samples come from its specification." } } }
                    li { span { b { "Choose a plan. " } span class="muted" { "Price, included calls and limits are printed before you agree." } } }
                    li { span { b { "Create a key. " } span class="muted" { "Limit it to scopes and addresses; revoke it with effect on the next call." } } }
                }
            }
        }
    }
}

fn email(value: &str, problems: &Problems) -> Markup {
    Field {
        name: "email",
        label: "E-mail",
        kind: "email",
        value,
        autocomplete: "username",
        required: true,
        max_chars: 254,
        ..Field::default()
    }
    .show(problems)
}

fn with_next(path: &str, next: &str) -> String {
    if next.is_empty() {
        return path.into();
    }
    format!("{path}?next={}", crate::ui::part::encode(next))
}
