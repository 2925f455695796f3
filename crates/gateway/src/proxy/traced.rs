//! The span of a call that is recorded for a collector of traces. Where there is none, a call sees one `Option`.

use keytoll_domain::ledger::STATUS_CLIENT_GONE;

use super::Inbound;
use super::told::Told;
use crate::core::Core;
use crate::keytable::KeyRecord;
use crate::masking::without_keys;
use crate::request::Request;
use crate::route::Found;
use crate::server::source::Source;
use crate::spans::{self, Span};
use crate::trace::Context;

/// Longest host name of a span, which is the longest that there is.
const HOST_MAX_BYTES: usize = 255;
/// What a call failed with whose client left before it was answered.
const CLIENT_GONE: &str = "client_gone";

/// What is known of a recorded call from its start.
#[derive(Clone, Copy)]
pub(super) struct Traced {
    pub context: Context,
    /// As `network.protocol.version` has it.
    protocol: &'static str,
}

/// Whether this call is recorded.
pub(super) fn begin(core: &Core, request: &Request, source: &dyn Source) -> Option<Traced> {
    let context = core.spans.as_ref()?.begin(&request.fields)?;
    let protocol = match (source.is_http2(), request.http11) {
        (true, _) => "2",
        (false, true) => "1.1",
        (false, false) => "1.0",
    };
    Some(Traced { context, protocol })
}

impl Inbound<'_> {
    /// The call's span but for its end, if it is recorded; there is one only.
    pub(super) fn span(
        &self,
        status: u16,
        code: &'static str,
        told: Told<'_>,
        key: Option<&KeyRecord>,
    ) -> Option<Box<Span>> {
        let Traced { context, protocol } = self.trace.take()?;
        let plan = key.and_then(|key| key.subscription.state.load().plan.slug.clone());
        Some(Box::new(Span {
            context,
            request: self.start.id,
            start: self.start.at,
            end: self.start.at,
            method: spans::method(self.request.method()),
            protocol,
            host: self.host(),
            product: self.product.id.clone(),
            operation: told.name.into(),
            plan,
            key: told.key,
            status,
            code,
            aborted: false,
        }))
    }

    /// The span of a call that ends with its answer's head.
    pub(super) fn end_span(
        &self,
        status: u16,
        code: &'static str,
        told: Told<'_>,
        key: Option<&KeyRecord>,
    ) {
        if let Some(span) = self.span(status, code, told, key) {
            self.core.end_span(span, self.core.now(), false);
        }
    }

    /// The name that the client asked for, without a port; empty if it is none.
    fn host(&self) -> Box<str> {
        let host = std::str::from_utf8(self.request.host()).unwrap_or_default();
        let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        let name = match host.rsplit_once(':') {
            Some((name, port)) if is_port(port) => name,
            _ => host,
        };
        let name = if name.len() <= HOST_MAX_BYTES { name } else { "" };
        without_keys(&self.core.shared.options.brand, name).into()
    }
}

/// A call that nobody waits for any more.
impl Drop for Inbound<'_> {
    fn drop(&mut self) {
        if self.trace.get().is_some() {
            let found = if self.unknown_version || self.product.is_keyless() {
                Found::NoPath
            } else {
                self.product.find(self.request.method(), self.rest)
            };
            self.end_span(STATUS_CLIENT_GONE, CLIENT_GONE, Told::new(found, None), None);
        }
    }
}
