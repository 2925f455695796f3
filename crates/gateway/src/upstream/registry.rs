//! The upstreams that there are, as only the writer of the routes knows them: what stays the same keeps its
//! connections and what is known of it when routes are made anew.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use keytoll_domain::catalog::{
    Product, Target, UpstreamHttp, UpstreamOptions, UpstreamTls, bounds,
};
use keytoll_domain::ids::ProductId;
use tokio::time::Instant;

use super::cluster::Cluster;
use super::{Upstream, UpstreamUrlError};
use crate::route::Place;
use crate::server::http2::ALPN;
use crate::tls::{ClientTls, ClientTlsOptions, TlsError, TlsFiles};

/// What is offered by ALPN.
const HTTP1: [&[u8]; 1] = [b"http/1.1"];
const HTTP2: [&[u8]; 1] = [ALPN];

pub(crate) struct Registry {
    known: HashMap<ProductId, Vec<Known>>,
    /// Upstreams numbered so far.
    numbered: usize,
    /// TLS without options of its own, made when it is first wanted.
    usual_tls: Option<ClientTls>,
    round: u64,
    epoch: Instant,
}

struct Known {
    cluster: Arc<Cluster>,
    /// The last round in which it was asked for.
    round: u64,
}

#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Url(#[from] UpstreamUrlError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("more than {} targets", bounds::TARGETS_MAX)]
    TooMany,
}

/// Says what is wrong with the TLS files of a product's upstream, if they can be read here.
pub fn check_upstream_tls(tls: &UpstreamTls) -> Result<(), TlsError> {
    load(Some(tls), &HTTP1).map(|_| ())
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            known: HashMap::new(),
            numbered: 0,
            usual_tls: None,
            round: 0,
            epoch: Instant::now(),
        }
    }

    /// Where calls to these targets go. `index` is the product's.
    pub(crate) fn place(&mut self, product: &Product, index: u32, targets: &[Target]) -> Place {
        if targets.is_empty() {
            return Place::Absent;
        }
        let options = &product.settings.upstream_options;
        let round = self.round;
        let known = self.known.get_mut(&product.id).and_then(|known| {
            known
                .iter_mut()
                .find(|known| known.cluster.targets == targets && known.cluster.options == *options)
        });
        if let Some(known) = known {
            known.round = round;
            return Place::At(known.cluster.clone());
        }
        match self.make(product, index, targets) {
            Ok(cluster) => {
                let cluster = Arc::new(cluster);
                let known = Known { cluster: cluster.clone(), round };
                self.known.entry(product.id.clone()).or_default().push(known);
                Place::At(cluster)
            }
            Err(error) => {
                tracing::error!(product = %product.id, %error, "the product's calls fail until its upstream is corrected");
                Place::Broken
            }
        }
    }

    /// All products have been asked for: forgets what none of them wanted.
    pub(crate) fn end_round(&mut self) {
        let round = self.round;
        for known in self.known.values_mut() {
            known.retain(|known| known.round == round);
        }
        self.known.retain(|_, known| !known.is_empty());
        self.round += 1;
    }

    fn make(
        &mut self,
        product: &Product,
        index: u32,
        targets: &[Target],
    ) -> Result<Cluster, Unusable> {
        if targets.len() > bounds::TARGETS_MAX {
            return Err(Unusable::TooMany);
        }
        let options = &product.settings.upstream_options;
        let mut upstreams = Vec::with_capacity(targets.len());
        let mut tls = None;
        for target in targets {
            if let Some(known) = self.find(&product.id, options, &target.url) {
                upstreams.push(known);
                continue;
            }
            let mut upstream = Upstream::parse(&target.url, self.numbered)?;
            upstream.http2 = options.http == UpstreamHttp::Http2;
            if upstream.secure {
                if tls.is_none() {
                    tls = Some(self.tls(&product.id, options)?);
                }
                upstream.tls.clone_from(&tls);
            }
            self.numbered += 1;
            upstreams.push(Arc::new(upstream));
        }
        Ok(Cluster::new(index, options, targets, upstreams, self.epoch))
    }

    fn find(
        &self,
        product: &ProductId,
        options: &UpstreamOptions,
        url: &str,
    ) -> Option<Arc<Upstream>> {
        let alike = self.known.get(product)?.iter().filter(|it| it.cluster.options == *options);
        let mut members = alike.flat_map(|known| &known.cluster.members);
        let found = members.find(|member| *member.upstream.url == *url)?;
        Some(found.upstream.clone())
    }

    fn tls(
        &mut self,
        product: &ProductId,
        options: &UpstreamOptions,
    ) -> Result<ClientTls, TlsError> {
        if options.http == UpstreamHttp::Http2 {
            return load_or_wait(product, options.tls.as_ref(), &HTTP2);
        }
        if options.tls.is_some() {
            return load_or_wait(product, options.tls.as_ref(), &HTTP1);
        }
        if self.usual_tls.is_none() {
            self.usual_tls = Some(load(None, &HTTP1)?);
        }
        self.usual_tls.clone().map_or_else(|| load(None, &HTTP1), Ok)
    }
}

fn load(tls: Option<&UpstreamTls>, protocols: &[&[u8]]) -> Result<ClientTls, TlsError> {
    ClientTls::load(&options_of(tls), protocols)
}

/// Files that cannot be used now may be later.
fn load_or_wait(
    product: &ProductId,
    tls: Option<&UpstreamTls>,
    protocols: &[&[u8]],
) -> Result<ClientTls, TlsError> {
    let options = options_of(tls);
    ClientTls::load(&options, protocols).or_else(|error| {
        tracing::error!(%product, %error, "the product's calls fail until its upstream's TLS files are corrected");
        ClientTls::unusable(&options, protocols)
    })
}

fn options_of(tls: Option<&UpstreamTls>) -> ClientTlsOptions {
    let Some(tls) = tls else { return ClientTlsOptions::default() };
    let path = |file: &Option<String>| file.as_ref().map(PathBuf::from);
    let pair = path(&tls.client_cert).zip(path(&tls.client_key));
    ClientTlsOptions {
        ca: path(&tls.ca),
        client: pair.map(|(cert, key)| TlsFiles { cert, key }),
        server_name: tls.server_name.clone(),
    }
}
