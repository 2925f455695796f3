//! The body of a question. Its texts stay where they came, unless they hold escapes.

use std::borrow::Cow;
use std::net::IpAddr;

use keytoll_domain::catalog::UNITS_PER_CALL_MAX;
use serde::Deserialize;

use super::{KeyRef, Question};

/// Members that are not named here are skipped, whatever they hold.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Form<'b> {
    #[serde(borrow)]
    key: Text<'b>,
    #[serde(borrow)]
    product: Option<Text<'b>>,
    #[serde(borrow)]
    operation: Option<Text<'b>>,
    #[serde(borrow)]
    scope: Option<Text<'b>>,
    ip: Option<IpAddr>,
    units: Option<u32>,
}

/// A type of its own, because serde borrows no `Cow` within an `Option`.
#[derive(Debug, PartialEq, Deserialize)]
struct Text<'b>(#[serde(borrow)] Cow<'b, str>);

impl<'b> Form<'b> {
    /// `None` for what is no question.
    pub(super) fn parse(body: &'b [u8]) -> Option<Self> {
        let form: Self = serde_json::from_slice(body).ok()?;
        let payable = |units: &u32| (1..=UNITS_PER_CALL_MAX).contains(&u64::from(*units));
        form.units.as_ref().is_none_or(payable).then_some(form)
    }

    pub(super) fn secret(&self) -> &[u8] {
        self.key.0.as_bytes()
    }

    pub(super) fn question(&self) -> Question<'_> {
        fn text<'f>(member: Option<&'f Text<'_>>) -> Option<&'f str> {
            member.map(|text| &*text.0)
        }
        Question {
            key: KeyRef::Secret(self.secret()),
            product: text(self.product.as_ref()),
            operation: text(self.operation.as_ref()),
            scope: text(self.scope.as_ref()),
            address: self.ip,
            units: self.units,
        }
    }
}

#[cfg(test)]
mod tests;
