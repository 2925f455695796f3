//! Creating, rolling and revoking a key: what is asked, and what each act brings about.

use keytoll_domain::time::Timestamp;
use maud::{Markup, html};

use super::keys::{ReceiptView, last_used};
use crate::ui::form::{Choice, Field, Problems, choices, text_area};
use crate::ui::part::{encode, environment, link_button, notice};
use crate::ui::shell::head;
use crate::ui::text::counted;
use crate::ui::{Nav, Page};

/// The form as typed, so that a refusal loses nothing.
#[derive(Clone, Debug, Default)]
pub struct KeyForm {
    pub name: String,
    pub subscription: String,
    pub environment: String,
    pub scopes: Vec<String>,
    pub rate_limit_per_minute: String,
    pub allowed_ips: String,
    pub expires_at: String,
}

/// `GET /keys/new`
#[derive(Clone, Debug, Default)]
pub struct NewKey {
    pub form: KeyForm,
    pub problems: Problems,
    /// Active subscriptions: id, plan name, what the plan allows.
    pub subscriptions: Vec<(String, String, String)>,
    /// Scopes of the plans' products, with what they open.
    pub scopes: Vec<(String, String)>,
    pub rate_limit_max: u64,
}

impl Page for NewKey {
    fn title(&self) -> String {
        "Create key".into()
    }
    fn nav(&self) -> Nav {
        Nav::Keys
    }
    fn body(&self) -> Markup {
        html! {
            (head(&[("/keys", "API keys")], "Create key", &html! { "The key is shown once, on the next page. Everything here but the name can be left as it is." }, &html! {}))
            form class="card narrow" method="post" action="/keys/new" novalidate {
                div class="inside stack wide" {
                    (self.problems.summary())
                    (Field { name: "name", label: "Name", value: &self.form.name, required: true, max_chars: 100,
                        hint: "Where it will be used, such as \"Production integration\".", ..Field::default() }.show(&self.problems))
                    @if self.subscriptions.len() > 1 { (self.subscription_choice()) }
                    @else if let Some((id, _, _)) = self.subscriptions.first() { input type="hidden" name="subscription" value=(id); }
                    (self.environment_choice())
                    (self.scope_choice())
                    (Field { name: "rate_limit_per_minute", label: "Own limit, units a minute", kind: "number",
                        value: &self.form.rate_limit_per_minute,
                        hint: &format!("Empty: only the plan's limits hold. At most {}.", crate::ui::text::count(self.rate_limit_max)), ..Field::default() }.show(&self.problems))
                    (text_area("allowed_ips", "Allowed IP addresses", &self.form.allowed_ips,
                        "One address or network a line, such as 203.0.113.7 or 2001:db8::/48. Empty: any address.", &self.problems))
                    (Field { name: "expires_at", label: "Expires at, UTC", kind: "datetime-local", value: &self.form.expires_at,
                        hint: "Empty: it works until it is revoked.", ..Field::default() }.show(&self.problems))
                }
                footer class="buttons" {
                    button class="button primary" type="submit" { "Create key" }
                    (link_button("/keys", "plain", "Back"))
                }
            }
        }
    }
}

impl NewKey {
    fn subscription_choice(&self) -> Markup {
        let options = self.subscriptions.iter().map(|(id, plan, about)| Choice {
            value: id.clone(),
            label: html! { (plan) },
            hint: about.clone(),
            chosen: *id == self.form.subscription,
        });
        choices(
            "subscription",
            "Subscription",
            "Its plan decides what the key may call.",
            false,
            &options.collect::<Vec<_>>(),
            &self.problems,
        )
    }

    fn environment_choice(&self) -> Markup {
        let test = self.form.environment == "test";
        let options = [
            Choice {
                value: "live".into(),
                label: environment(false),
                hint: "Real calls; they count towards quota and invoice.".into(),
                chosen: !test,
            },
            Choice {
                value: "test".into(),
                label: environment(true),
                hint: "Calls the sandbox; never billed.".into(),
                chosen: test,
            },
        ];
        choices("environment", "Environment", "", false, &options, &self.problems)
    }

    fn scope_choice(&self) -> Markup {
        let held = |scope: &str| self.form.scopes.iter().any(|held| held == scope);
        let mut options = vec![Choice {
            value: "*".into(),
            label: html! { code { "*" } " Everything" },
            hint: "All scopes of the plan, future ones too.".into(),
            chosen: held("*"),
        }];
        options.extend(self.scopes.iter().map(|(scope, about)| Choice {
            value: scope.clone(),
            label: html! { code { (scope) } },
            hint: about.clone(),
            chosen: held(scope),
        }));
        choices(
            "scopes",
            "Scopes",
            "What the key may do. Give it no more than its place needs.",
            true,
            &options,
            &self.problems,
        )
    }
}

/// `GET /keys/{id}/revoke`
#[derive(Clone, Debug)]
pub struct RevokeKey {
    pub now: Timestamp,
    pub id: String,
    pub name: String,
    pub prefix: String,
    pub last_used_at: Option<Timestamp>,
}

impl Page for RevokeKey {
    fn title(&self) -> String {
        "Revoke key".into()
    }
    fn nav(&self) -> Nav {
        Nav::Keys
    }
    fn body(&self) -> Markup {
        html! {
            div class="stack narrow" id="ask" {
                h1 class="cut" { "Revoke “" (self.name) "”?" }
                p {
                    "Every call with " code { (self.prefix) "…" } " is refused with 401 " b { "from the next request on" } ", on every gateway. "
                    "This cannot be undone: whoever uses it needs another key."
                }
                dl class="facts" { dt { "Last used" } dd { (last_used(self.last_used_at, self.now)) } }
                form class="buttons" method="post" action={ "/keys/" (encode(&self.id)) "/revoke" } {
                    button class="button danger" type="submit" { "Revoke key" }
                    a class="button" href={ "/keys/" (encode(&self.id)) } data-close { "Keep it" }
                }
            }
        }
    }
}

/// The answer to a revocation.
#[derive(Clone, Debug)]
pub struct KeyRevoked {
    pub name: String,
    pub prefix: String,
    pub receipt: ReceiptView,
    /// Shown to staff who ended a partner's key.
    pub staff: bool,
}

impl Page for KeyRevoked {
    fn title(&self) -> String {
        "Key revoked".into()
    }
    fn nav(&self) -> Nav {
        Nav::Keys
    }
    fn body(&self) -> Markup {
        html! {
            (head(&[("/keys", "API keys")], "Key revoked", &html! { (self.name) " · " code { (self.prefix) "…" } }, &html! {}))
            div class="stack narrow" {
                (notice(self.receipt.tone(), &html! {
                    b { "The key is refused from its next request on." }
                    span { (self.receipt.show()) }
                }))
                div class="buttons" {
                    @if self.staff { (link_button("/staff/keys", "primary", "Back to the keys")) }
                    @else {
                        (link_button("/keys", "primary", "Back to the keys"))
                        (link_button("/keys/new", "", "Create another"))
                    }
                }
            }
        }
    }
}

/// Grace periods offered when rolling: seconds and words.
pub const GRACES: [(u64, &str); 4] =
    [(0, "At once"), (3_600, "In 1 hour"), (86_400, "In 24 hours"), (604_800, "In 7 days")];

/// `GET /keys/{id}/roll`
#[derive(Clone, Debug)]
pub struct RollKey {
    pub id: String,
    pub name: String,
    pub prefix: String,
    pub calls_30_days: u64,
    pub problems: Problems,
}

impl Page for RollKey {
    fn title(&self) -> String {
        "Roll key".into()
    }
    fn nav(&self) -> Nav {
        Nav::Keys
    }
    fn body(&self) -> Markup {
        let hint = |secs: u64| match secs {
            0 => "The old key is refused from the next request on.",
            3_600 => "Enough for one deployment.",
            86_400 => "Both keys work for a day.",
            _ => "For integrations that are updated by hand.",
        };
        let options = GRACES.map(|(secs, text)| Choice {
            value: secs.to_string(),
            label: html! { (text) },
            hint: hint(secs).into(),
            chosen: secs == 0,
        });
        let id = encode(&self.id);
        html! {
            (head(&[("/keys", "API keys"), (&format!("/keys/{id}"), &self.name)], "Roll key",
                &html! { "A new key with the same name, scopes, limit, addresses and expiry takes the place of " code { (self.prefix) "…" } }, &html! {}))
            form class="card narrow" method="post" action={ "/keys/" (id) "/roll" } {
                div class="inside stack" {
                    (self.problems.summary())
                    (choices("grace", "When does the old key end?",
                        &format!("It was used for {} in the last 30 days.", counted(self.calls_30_days, "call", "calls")), false, &options, &self.problems))
                }
                footer class="buttons" {
                    button class="button danger" type="submit" { "Roll key" }
                    (link_button(&format!("/keys/{id}"), "plain", "Back"))
                }
            }
        }
    }
}
