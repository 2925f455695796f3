//! The spend cap of a subscription: what it means, where the period stands, and a field to change it.

use maud::{Markup, html};

use crate::ui::form::{Field, Problems};
use crate::ui::part::encode;
use crate::ui::shell::head;
use crate::ui::text::counted;
use crate::ui::{Nav, Page};

/// `GET /subscriptions/{id}/spend-cap`
#[derive(Clone, Debug)]
pub struct SpendCap {
    pub id: String,
    pub plan: String,
    pub currency: String,
    /// What the running period costs so far: `$82.50`
    pub spent: String,
    pub units: u64,
    /// The fee of this period, which the cap must pay first.
    pub fee: String,
    /// The cap that holds now; absent = none.
    pub cap: Option<String>,
    /// Units of this period that it pays for; absent = as many as you like.
    pub units_cap: Option<u64>,
    /// The plan's own, which holds while the field is empty.
    pub plan_cap: Option<String>,
    /// As typed.
    pub value: String,
    pub problems: Problems,
}

impl Page for SpendCap {
    fn title(&self) -> String {
        format!("Spend cap of {}", self.plan)
    }
    fn nav(&self) -> Nav {
        Nav::Subscriptions
    }
    fn body(&self) -> Markup {
        let label = format!("Most that a period may cost, in {}", self.currency);
        let hint = match &self.plan_cap {
            Some(cap) => format!("Empty: the plan's cap of {cap}."),
            None => "Empty: no cap.".to_owned(),
        };
        html! {
            (head(&[("/subscriptions", "Subscriptions")], &self.title(), &html! { "Calls are refused with 402 when the next call could pass it, until you raise it or the next period begins." }, &html! {}))
            div class="stack narrow" {
                (self.problems.summary())
                p {
                    "This period has cost " b { (self.spent) } " so far, for " (counted(self.units, "unit", "units")) " and the fee of " (self.fee) ". "
                    @match (&self.cap, self.units_cap) {
                        (None, _) => "There is no cap.",
                        (Some(cap), Some(0)) => { "The cap of " b { (cap) } " is below the fee: no call passes." }
                        (Some(cap), Some(units)) => { "The cap of " b { (cap) } " pays for " (counted(units, "unit", "units")) "." }
                        (Some(cap), None) => { "The cap of " b { (cap) } " is not reached by calls: they cost nothing beyond the fee." }
                    }
                }
                form class="stack" method="post" action={ "/subscriptions/" (encode(&self.id)) "/spend-cap" } {
                    (Field { name: "spend_cap", label: &label, value: &self.value, hint: &hint, max_chars: 20, ..Field::default() }.show(&self.problems))
                    div class="buttons" {
                        button class="button primary" type="submit" { "Save" }
                        a class="button plain" href="/subscriptions" { "Back" }
                    }
                }
            }
        }
    }
}
