//! What is counted and logged of a call.

use std::net::IpAddr;

use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ids::KeyId;

use super::Inbound;
use crate::access_log::{Ending, Line};
use crate::metrics::Outcome;
use crate::own;
use crate::route::Found;

/// What is known of a call when it is counted and logged.
#[derive(Clone, Copy)]
pub(super) struct Told<'r> {
    pub operation: OperationKey,
    pub name: &'r str,
    pub key: Option<KeyId>,
    pub address: Option<IpAddr>,
    /// Lines of the operation's own deprecation.
    pub ends: Option<&'r [u8]>,
    /// The code in the log of a call that went well.
    pub note: &'static str,
}

impl<'r> Told<'r> {
    pub(super) fn new(found: Found<'r>, key: Option<KeyId>) -> Self {
        let (operation, name, ends) = match found {
            Found::Operation(operation) => {
                (operation.key, &*operation.name, operation.deprecation.as_deref())
            }
            Found::WrongMethod(_) | Found::NoPath => (OperationKey::NONE, "", None),
        };
        Self { operation, name, key, address: None, ends, note: "" }
    }
}

impl Inbound<'_> {
    pub(super) fn count(&self, status: u16, code: &'static str, told: Told<'_>, micros: u32) {
        let product = (self.product.index, &self.product.id);
        let outcome = Outcome { operation: told.operation, status, code };
        self.core.metrics.count(product, outcome, told.name, micros);
    }

    fn line(&self, status: u16, code: &'static str, told: Told<'_>) -> Option<Line> {
        let address = told.address.unwrap_or(self.client.address);
        own::line(
            self.core,
            self.start,
            (self.client, address),
            self.request,
            (status, code),
            told.key,
        )
    }

    /// The line of an answer that the upstream gave; products may want a share of them only. Its own failures are
    /// always logged.
    pub(super) fn sampled_line(&self, status: u16, told: Told<'_>) -> Option<Line> {
        match &self.product.policies {
            Some(policies)
                if status < 500 && told.note.is_empty() && !policies.logs(self.start.id) =>
            {
                None
            }
            _ => self.line(status, told.note, told),
        }
    }

    pub(super) fn log(&self, status: u16, code: &'static str, told: Told<'_>) {
        if let Some(line) = self.line(status, code, told) {
            let micros = self.elapsed_micros();
            self.core.log.end(line, &Ending { micros, ..Ending::default() });
        }
    }
}
