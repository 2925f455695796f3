//! The provider's people.

use keytoll_domain::ids::UserId;
use keytoll_domain::user::StaffRole;
use keytoll_store::StoreError;
use keytoll_store::user::{User, user_insert};
use serde_json::json;

use crate::actor::{Actor, Denied};
use crate::audit::{self, Entry};
use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::password::{Busy, Password};
use crate::text::normal_email;
use crate::users::password_rule;

#[derive(Clone, Debug)]
pub struct NewStaff {
    pub email: String,
    pub password: Password,
    pub role: StaffRole,
}

#[derive(Debug, thiserror::Error)]
pub enum StaffError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("the request is not acceptable")]
    Invalid(Vec<Fault>),
    #[error("a user with this e-mail address exists")]
    EmailTaken,
    #[error("too many log-ins at this moment: try again")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a staff log-in. Admins may; only owners make owners. An address in use is a conflict: a second
/// `create` must not change a password.
pub async fn create(ctx: &Ctx, actor: &Actor, new: NewStaff) -> Result<UserId, StaffError> {
    actor.require_admin()?;
    if new.role == StaffRole::Owner && actor.staff != Some(StaffRole::Owner) {
        return Err(Denied::RoleMissing.into());
    }
    let email = check(&new).map_err(StaffError::Invalid)?;
    let password_hash = match ctx.passwords.hash(new.password, ctx.random()).await {
        Ok(hash) => hash,
        Err(Busy) => return Err(StaffError::Busy),
    };

    let now = ctx.now();
    let id = UserId::new(now, ctx.random());
    let user = User { id, email, password_hash, staff: Some(new.role), created_at: now };
    let mut tx = ctx.store.write().await?;
    match user_insert(&mut tx, &user).await {
        Err(error) if error.is_conflict("users_email") => return Err(StaffError::EmailTaken),
        other => other?,
    }
    let entry = Entry {
        action: "staff.create",
        subject: id.to_string(),
        partner: None,
        detail: json!({ "role": new.role }),
    };
    audit::record(ctx, actor, &mut tx, entry).await?;
    tx.commit().await?;
    Ok(id)
}

fn check(new: &NewStaff) -> Result<String, Vec<Fault>> {
    let mut faults = Vec::new();
    let email = normal_email(&new.email);
    if email.is_none() {
        faults.push(Fault::new("/email", "not an e-mail address"));
    }
    if !new.password.is_acceptable() {
        faults.push(Fault::new("/password", password_rule()));
    }
    if new.role == StaffRole::Verifier {
        faults.push(Fault::new("/role", "`verifier` is a role of tokens, not of people"));
    }
    match email {
        Some(email) if faults.is_empty() => Ok(email),
        _ => Err(faults),
    }
}
