//! Users: the log-ins of people.

use std::fmt;

use keytoll_domain::ids::UserId;
use keytoll_domain::time::Timestamp;
use keytoll_domain::user::StaffRole;

use crate::db::query::{Row, statements};
use crate::{Result, Tx};

#[derive(Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    /// Lower case, trimmed; unique.
    pub email: String,
    /// PHC string of argon2id.
    pub password_hash: String,
    pub staff: Option<StaffRole>,
    pub created_at: Timestamp,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("staff", &self.staff)
            .finish_non_exhaustive()
    }
}

statements! { "users";
    INSERT = "INSERT INTO users (id, email, password_hash, staff_role, created_at) \
        VALUES ($1, $2, $3, $4, $5)";
    BY_ID = "SELECT id, email, password_hash, staff_role, created_at FROM users WHERE id = $1";
    BY_EMAIL = "SELECT id, email, password_hash, staff_role, created_at FROM users WHERE email = $1";
}

/// Conflict `users_email` when the address is taken.
pub async fn user_insert(tx: &mut Tx, user: &User) -> Result<()> {
    let query = tx.query(INSERT).text(user.id).text(&user.email).text(&user.password_hash);
    query.text_or_null(user.staff.map(StaffRole::as_str)).time(user.created_at).execute().await?;
    Ok(())
}

pub async fn user_by_id(tx: &mut Tx, id: UserId) -> Result<Option<User>> {
    tx.query(BY_ID).text(id).one(user).await
}

pub async fn user_by_email(tx: &mut Tx, email: &str) -> Result<Option<User>> {
    tx.query(BY_EMAIL).text(email).one(user).await
}

fn user(row: &Row) -> Result<User> {
    let staff = row.text_or_null("staff_role")?;
    let staff = staff.map(|text| StaffRole::parse(&text).ok_or_else(|| row.corrupt("staff_role")));
    Ok(User {
        id: row.parse("id")?,
        email: row.text("email")?,
        password_hash: row.text("password_hash")?,
        staff: staff.transpose()?,
        created_at: row.time("created_at")?,
    })
}
