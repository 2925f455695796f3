//! The gateway's ports, answered by the control plane on its own runtime, so that neither SQL nor its
//! connections ever live on a gateway thread.

use std::sync::{Arc, Weak};

use keytoll_apispec::Validators;
use keytoll_control::calls::{NodeCalls, RecentCalls};
use keytoll_control::{Ctx, feed, keys, ledger, products};
use keytoll_domain::feed::{Change, Snapshot, SnapshotKey};
use keytoll_domain::ids::{KeyId, ProductId};
use keytoll_domain::key::KeyHash;
use keytoll_domain::ledger::{CallPlace, SealedBatch};
use keytoll_gateway::ports::{BoxFuture, KeySource, KeyUpgrade, PortError, Taken, UsageSink};
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// Both ports over one context.
#[derive(Clone)]
pub struct StorePorts {
    pub ctx: Ctx,
    pub control: Handle,
    pub wake: Arc<Notify>,
}

impl StorePorts {
    async fn on_control<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, PortError>> + Send + 'static,
    ) -> Result<T, PortError> {
        let ended = self.control.spawn(work).await;
        ended
            .unwrap_or_else(|_| Err(PortError::Unavailable("the control plane is stopping".into())))
    }
}

fn unavailable(error: impl std::fmt::Display) -> PortError {
    PortError::Unavailable(error.to_string())
}

impl KeySource for StorePorts {
    fn snapshot<'a>(&'a self, node: &'a str) -> BoxFuture<'a, Result<Snapshot, PortError>> {
        let (ctx, node) = (self.ctx.clone(), node.to_owned());
        Box::pin(
            self.on_control(async move { feed::snapshot(&ctx, &node).await.map_err(unavailable) }),
        )
    }

    fn keys(&self, after: Option<KeyId>) -> BoxFuture<'_, Result<Vec<SnapshotKey>, PortError>> {
        let ctx = self.ctx.clone();
        Box::pin(self.on_control(async move { feed::keys(&ctx, after).await.map_err(unavailable) }))
    }

    fn changes(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Change>, PortError>> {
        let ctx = self.ctx.clone();
        Box::pin(self.on_control(async move {
            feed::changes(&ctx, after, limit).await.map_err(unavailable)
        }))
    }

    fn applied<'a>(&'a self, node: &'a str, sequence: u64) -> BoxFuture<'a, Result<(), PortError>> {
        let (ctx, node) = (self.ctx.clone(), node.to_owned());
        Box::pin(self.on_control(async move {
            feed::applied(&ctx, &node, sequence).await.map_err(unavailable)
        }))
    }

    fn validators<'a>(
        &'a self,
        product: &'a ProductId,
        version: Option<&'a str>,
        operations: Vec<(String, String)>,
    ) -> BoxFuture<'a, Result<Option<Arc<Validators>>, PortError>> {
        let (ctx, product) = (self.ctx.clone(), product.clone());
        let version = version.map(str::to_owned);
        Box::pin(self.on_control(async move {
            let found = match &version {
                None => products::document(&ctx, &product).await,
                Some(version) => products::version_document(&ctx, &product, version).await,
            };
            let found = found.map_err(unavailable)?;
            let Some(found) = found else { return Ok(None) };
            let compile = move || {
                let pairs = operations.iter();
                let pairs = pairs.map(|(method, path)| (method.as_str(), path.as_str()));
                Validators::compile(&found.document, pairs)
            };
            let compiled = tokio::task::spawn_blocking(compile).await.map_err(unavailable)?;
            Ok(Some(Arc::new(compiled)))
        }))
    }

    fn woken(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.wake.notified())
    }
}

impl KeyUpgrade for StorePorts {
    fn upgrade(&self, key: KeyId, digest: KeyHash) -> BoxFuture<'_, Result<bool, PortError>> {
        let ctx = self.ctx.clone();
        Box::pin(
            self.on_control(
                async move { keys::upgrade(&ctx, key, digest).await.map_err(unavailable) },
            ),
        )
    }
}

impl UsageSink for StorePorts {
    fn take(&self, batch: Arc<SealedBatch>) -> BoxFuture<'_, Result<Taken, PortError>> {
        let ctx = self.ctx.clone();
        Box::pin(self.on_control(async move {
            match ledger::take(&ctx, &batch).await {
                Ok(ledger::Taken::Applied) => Ok(Taken::Applied),
                Ok(ledger::Taken::Known { through }) => Ok(Taken::Known { through }),
                Err(ledger::TakeError::Forked { .. }) => Err(PortError::Forked),
                Err(error) => Err(unavailable(error)),
            }
        }))
    }
}

/// The gateway's memory of calls, for the portal. Holds the gateway only while it asks, so that it can be stopped.
pub struct GatewayCalls(pub Weak<keytoll_gateway::Handle>);

impl RecentCalls for GatewayCalls {
    fn of_key(&self, key: KeyId, before: Option<CallPlace>, limit: usize) -> Option<NodeCalls> {
        let gateway = self.0.upgrade()?;
        let found = gateway.recent_calls(key, before, limit);
        Some(NodeCalls { node: gateway.node().to_owned(), found })
    }
}
