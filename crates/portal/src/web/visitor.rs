//! Who looks at a page. Authorisation is in a handler's signature: [`Visitor`] is anybody, [`SignedIn`] has
//! a session, [`Member`] acts for a partner, [`StaffMember`] for the provider. The use cases check again.

use axum::extract::FromRequestParts;
use http::request::Parts;
use keytoll_control::users::Session;
use keytoll_control::{Actor, Ctx, Who, partners, users};
use keytoll_domain::ids::PartnerId;
use keytoll_domain::time::Timestamp;

use super::answer::{Stop, Trouble, bare_shell};
use super::fields::{Fields, cookie_value};
use crate::pages::error::ErrorPage;
use crate::request_id::RequestId;
use crate::state::Portal;
use crate::ui::{Shell, Viewer};
use crate::{auth, cookie};

/// Partners whose names the switch shows.
const PARTNERS_SHOWN: usize = 20;
/// Cookie with the partner a member of several works for.
pub(super) const PARTNER_COOKIE: &str = "keytoll_partner";

/// Anybody, with whatever is known about them.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) portal: Portal,
    pub(super) shell: Shell,
    pub(super) session: Option<Session>,
    pub(super) partner: Option<PartnerId>,
    pub(super) query: Fields,
    pub(super) now: Timestamp,
    pub(super) request_id: String,
    /// Where the request came from, for counting attempts.
    pub(super) address: Option<String>,
}

/// Somebody with a session.
#[derive(Clone, Debug)]
pub(super) struct SignedIn {
    pub(super) visitor: Visitor,
    pub(super) actor: Actor,
}

/// Somebody who acts for a partner.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) visitor: Visitor,
    pub(super) actor: Actor,
    pub(super) partner: PartnerId,
}

/// Somebody of the provider; for others these pages do not exist.
#[derive(Clone, Debug)]
pub(super) struct StaffMember {
    pub(super) visitor: Visitor,
    pub(super) actor: Actor,
}

impl Visitor {
    pub(super) fn ctx(&self) -> &Ctx {
        &self.portal.ctx
    }

    /// The session's actor, or one who sees only what everybody sees.
    pub(super) fn actor(&self) -> Actor {
        match &self.session {
            Some(session) => session.actor.clone(),
            None => Actor { who: Who::System, staff: None, partners: Vec::new() },
        }
    }

    pub(super) fn stop(&self, trouble: impl Into<Trouble>) -> Stop {
        Stop::of(trouble, &self.request_id, &self.shell)
    }

    pub(super) fn not_found(&self) -> Stop {
        Stop::error(ErrorPage::not_found(), &self.shell)
    }

    pub(super) fn partner_name(&self) -> String {
        let viewer = self.shell.viewer.as_ref();
        let current =
            viewer.and_then(|viewer| viewer.partners.iter().find(|(_, _, current)| *current));
        current.map(|(_, name, _)| name.clone()).unwrap_or_default()
    }

    async fn sign_in(
        &mut self,
        session: Session,
        chosen: Option<PartnerId>,
    ) -> Result<(), Trouble> {
        let own = &session.actor.partners;
        let chosen = chosen.filter(|id| own.iter().any(|(own, _)| own == id));
        self.partner = chosen.or_else(|| own.first().map(|(id, _)| *id));
        let mut named = Vec::new();
        for (id, _) in own.iter().take(PARTNERS_SHOWN) {
            let partner = partners::show(&self.portal.ctx, &session.actor, *id).await?;
            named.push((id.to_string(), partner.name, Some(*id) == self.partner));
        }
        let staff = session.actor.is_staff();
        self.shell.viewer = Some(Viewer { email: session.email.clone(), partners: named, staff });
        self.session = Some(session);
        Ok(())
    }
}

impl FromRequestParts<Portal> for Visitor {
    type Rejection = Stop;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Stop> {
        let id = parts.extensions.get::<RequestId>();
        let mut visitor = Self {
            portal: portal.clone(),
            shell: bare_shell(&parts.headers, &parts.uri),
            session: None,
            partner: None,
            query: Fields::of_query(&parts.uri),
            now: portal.ctx.now(),
            request_id: id.map_or("-", RequestId::as_str).to_owned(),
            address: auth::address(&parts.extensions),
        };
        let Some(secret) = cookie::session(&parts.headers, &portal.public_url) else {
            return Ok(visitor);
        };
        let found =
            users::session(&portal.ctx, &secret).await.map_err(|error| visitor.stop(error))?;
        let Some(session) = found else { return Ok(visitor) };
        let chosen = cookie_value(&parts.headers, PARTNER_COOKIE).and_then(|id| id.parse().ok());
        if let Err(trouble) = visitor.sign_in(session, chosen).await {
            return Err(visitor.stop(trouble));
        }
        Ok(visitor)
    }
}

impl FromRequestParts<Portal> for SignedIn {
    type Rejection = Stop;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Stop> {
        let visitor = Visitor::from_request_parts(parts, portal).await?;
        let Some(session) = &visitor.session else {
            // What was to be changed is lost with the session; only a page can be come back to.
            let next =
                if parts.method == http::Method::GET { visitor.shell.here.as_str() } else { "/" };
            return Err(Stop::log_in(next));
        };
        let actor = session.actor.clone();
        Ok(Self { visitor, actor })
    }
}

impl FromRequestParts<Portal> for Member {
    type Rejection = Stop;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Stop> {
        let SignedIn { visitor, actor } = SignedIn::from_request_parts(parts, portal).await?;
        match visitor.partner {
            Some(partner) => Ok(Self { visitor, actor, partner }),
            None if actor.is_staff() => Err(Stop::Elsewhere("/staff".into())),
            None => Err(Stop::error(ErrorPage::forbidden(), &visitor.shell)),
        }
    }
}

impl FromRequestParts<Portal> for StaffMember {
    type Rejection = Stop;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Stop> {
        let SignedIn { visitor, actor } = SignedIn::from_request_parts(parts, portal).await?;
        if actor.is_staff() { Ok(Self { visitor, actor }) } else { Err(visitor.not_found()) }
    }
}
