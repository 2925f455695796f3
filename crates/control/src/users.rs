//! People: sign up, log in, sessions.
//!
//! A session is 32 random bytes that only the browser holds; the store has their SHA-256. An unknown e-mail
//! address and a wrong password are one answer, and take the same time.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keytoll_domain::ids::{PartnerId, UserId};
use keytoll_domain::key::KeyHash;
use keytoll_domain::time::Timestamp;
use keytoll_domain::user::PartnerRole;
use keytoll_store::partner::{Partner, member_insert, member_partners, partner_insert};
use keytoll_store::session::{session_delete, session_insert, session_prune, session_user};
use keytoll_store::user::{User, user_by_email, user_by_id, user_insert};
use keytoll_store::{StoreError, Tx};
use serde_json::json;

use crate::actor::{Actor, Who};
use crate::audit::{self, Entry};
use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::password::{Busy, PASSWORD_MAX_CHARS, PASSWORD_MIN_CHARS};
use crate::text::{normal_email, plain_name};
use crate::throttle::Subject;

pub use crate::password::Password;

const SESSION_DAYS: i64 = 30;

/// What a stranger fills in. `address` is where the request came from, if known.
#[derive(Clone, Debug)]
pub struct SignUp {
    pub email: String,
    pub password: Password,
    pub partner_name: String,
    pub address: Option<String>,
}

#[derive(Clone, Debug)]
pub struct LogIn {
    pub email: String,
    pub password: Password,
    pub address: Option<String>,
}

/// The secret of a session, for the cookie. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionSecret(String);

/// A browser that has just signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub user: UserId,
    /// The partner made by a sign-up; `None` after a log-in.
    pub partner: Option<PartnerId>,
    pub secret: SessionSecret,
    pub expires_at: Timestamp,
}

/// Whose session a cookie is.
#[derive(Clone, Debug)]
pub struct Session {
    pub actor: Actor,
    pub user: UserId,
    pub email: String,
}

#[derive(Debug, thiserror::Error)]
pub enum SignUpError {
    #[error("the request is not acceptable")]
    Invalid(Vec<Fault>),
    #[error("this e-mail address is in use: log in instead")]
    EmailTaken,
    #[error("too many attempts: wait {retry_after_secs} seconds")]
    TooMany { retry_after_secs: u32 },
    #[error("too many log-ins at this moment: try again")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    #[error("wrong e-mail address or password")]
    Wrong,
    #[error("too many attempts: wait {retry_after_secs} seconds")]
    TooMany { retry_after_secs: u32 },
    #[error("too many log-ins at this moment: try again")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SessionSecret {
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(…)")
    }
}

/// Makes a user, a partner that the user owns, and a session.
pub async fn sign_up(ctx: &Ctx, new: SignUp) -> Result<SignedIn, SignUpError> {
    let (email, name) = check(&new).map_err(SignUpError::Invalid)?;
    if let Some(address) = &new.address {
        let too_many = |retry_after_secs| SignUpError::TooMany { retry_after_secs };
        ctx.throttle.enter(Subject::SignUp(address), ctx.now()).map_err(too_many)?;
    }
    let password_hash = ctx.passwords.hash(new.password, ctx.random()).await?;

    let now = ctx.now();
    let user = User {
        id: UserId::new(now, ctx.random()),
        email,
        password_hash,
        staff: None,
        created_at: now,
    };
    let email = user.email.clone();
    let partner = Partner { id: PartnerId::new(now, ctx.random()), name, email, created_at: now };
    let mut tx = ctx.store.write().await?;
    user_insert(&mut tx, &user).await.map_err(taken)?;
    partner_insert(&mut tx, &partner).await?;
    member_insert(&mut tx, user.id, partner.id, PartnerRole::Owner).await?;
    let actor = Actor {
        who: Who::User(user.id),
        staff: None,
        partners: vec![(partner.id, PartnerRole::Owner)],
    };
    let entry = Entry {
        action: "user.sign_up",
        subject: user.id.to_string(),
        partner: Some(partner.id),
        detail: json!({ "partner_name": partner.name }),
    };
    audit::record(ctx, &actor, &mut tx, entry).await?;
    let (secret, expires_at) = open_session(ctx, &mut tx, user.id).await?;
    tx.commit().await?;
    Ok(SignedIn { user: user.id, partner: Some(partner.id), secret, expires_at })
}

/// Opens a session. Failures are counted per e-mail address and per network address.
pub async fn log_in(ctx: &Ctx, request: LogIn) -> Result<SignedIn, LogInError> {
    let email = normal_email(&request.email).ok_or(LogInError::Wrong)?;
    if !request.password.is_acceptable() {
        return Err(LogInError::Wrong);
    }
    // The network address first: one that has to wait locks no more e-mail addresses out.
    let mut subjects: Vec<_> =
        request.address.as_deref().map(Subject::Address).into_iter().collect();
    subjects.push(Subject::Email(&email));
    for subject in &subjects {
        let too_many = |retry_after_secs| LogInError::TooMany { retry_after_secs };
        ctx.throttle.enter(*subject, ctx.now()).map_err(too_many)?;
    }
    let mut tx = ctx.store.read().await?;
    let user = user_by_email(&mut tx, &email).await?;
    drop(tx);

    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let right = ctx.passwords.verify(request.password, hash).await?;
    let Some(user) = user.filter(|_| right) else { return Err(LogInError::Wrong) };
    for subject in &subjects {
        ctx.throttle.forgive(*subject);
    }
    let mut tx = ctx.store.write().await?;
    let (secret, expires_at) = open_session(ctx, &mut tx, user.id).await?;
    tx.commit().await?;
    Ok(SignedIn { user: user.id, partner: None, secret, expires_at })
}

/// Ends a session; an unknown one is as good as ended.
pub async fn log_out(ctx: &Ctx, secret: &str) -> Result<(), StoreError> {
    let mut tx = ctx.store.write().await?;
    session_delete(&mut tx, KeyHash::of(secret.as_bytes())).await?;
    tx.commit().await
}

/// Who a session cookie stands for, with the roles of this moment.
pub async fn session(ctx: &Ctx, secret: &str) -> Result<Option<Session>, StoreError> {
    let mut tx = ctx.store.read().await?;
    let hash = KeyHash::of(secret.as_bytes());
    let Some(id) = session_user(&mut tx, hash, ctx.now()).await? else { return Ok(None) };
    let Some(user) = user_by_id(&mut tx, id).await? else { return Ok(None) };
    let partners = member_partners(&mut tx, id).await?;
    let actor = Actor { who: Who::User(id), staff: user.staff, partners };
    Ok(Some(Session { actor, user: id, email: user.email }))
}

/// Writes a session; removes expired ones on the way, so that the table stays as large as its use.
async fn open_session(
    ctx: &Ctx,
    tx: &mut Tx,
    user: UserId,
) -> Result<(SessionSecret, Timestamp), StoreError> {
    let now = ctx.now();
    let expires_at = now.plus_days(SESSION_DAYS);
    let secret = SessionSecret(URL_SAFE_NO_PAD.encode(ctx.random::<32>()));
    session_prune(tx, now).await?;
    session_insert(tx, KeyHash::of(secret.0.as_bytes()), user, now, expires_at).await?;
    Ok((secret, expires_at))
}

fn check(new: &SignUp) -> Result<(String, String), Vec<Fault>> {
    let mut faults = Vec::new();
    let email = normal_email(&new.email);
    let name = plain_name(&new.partner_name);
    if email.is_none() {
        faults.push(Fault::new("/email", "not an e-mail address"));
    }
    if !new.password.is_acceptable() {
        faults.push(Fault::new("/password", password_rule()));
    }
    if let Err(rule) = &name {
        faults.push(Fault::new("/partner_name", rule));
    }
    match (email, name) {
        (Some(email), Ok(name)) if faults.is_empty() => Ok((email, name)),
        _ => Err(faults),
    }
}

pub(crate) fn password_rule() -> String {
    format!("{PASSWORD_MIN_CHARS} to {PASSWORD_MAX_CHARS} characters")
}

fn taken(error: StoreError) -> SignUpError {
    if error.is_conflict("users_email") { SignUpError::EmailTaken } else { error.into() }
}

impl From<Busy> for SignUpError {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

impl From<Busy> for LogInError {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

#[cfg(test)]
mod tests;
