//! `staff`, `token`, `partner`: who may do what.

use std::io::BufRead as _;

use anyhow::{Context as _, Result, bail};
use keytoll_control::page::PageRequest;
use keytoll_control::password::Password;
use keytoll_control::{Actor, Ctx, partners, staff, tokens};
use keytoll_domain::user::StaffRole;
use serde_json::json;

use super::faults;
use crate::cli::{PartnerCommand, StaffCommand, TokenCommand};
use crate::output::{Output, table};

/// Longest first line of standard input that is taken for a password.
const PASSWORD_LINE_MAX: u64 = 4096;

pub async fn staff(ctx: &Ctx, command: StaffCommand, output: Output) -> Result<()> {
    let StaffCommand::Create { email, password_stdin: _, role } = command;
    let role = match StaffRole::parse(&role) {
        Some(role) if role != StaffRole::Verifier => role,
        _ => bail!("--role: `{role}` is none of owner, admin, finance, support, viewer"),
    };
    let new = staff::NewStaff { email: email.clone(), password: password_from_stdin()?, role };
    let id = match staff::create(ctx, &Actor::cli(), new).await {
        Ok(id) => id,
        Err(staff::StaffError::Invalid(list)) => return Err(faults("not created:", &list)),
        Err(error) => return Err(error.into()),
    };
    let document = json!({ "id": id, "email": email, "role": role });
    output.print(&document, || format!("Created staff user {id} ({email}, {}).", role.as_str()))
}

fn password_from_stdin() -> Result<Password> {
    let mut line = String::new();
    let stdin = std::io::stdin().lock();
    std::io::Read::take(stdin, PASSWORD_LINE_MAX)
        .read_line(&mut line)
        .context("cannot read the password from standard input")?;
    let password = line.strip_suffix('\n').unwrap_or(&line);
    Ok(Password::new(password.strip_suffix('\r').unwrap_or(password).to_owned()))
}

pub async fn token(ctx: &Ctx, command: TokenCommand, output: Output) -> Result<()> {
    let TokenCommand::Create { name, role } = command;
    let new = tokens::NewToken { name, role: Some(role), partner: None };
    let created = match tokens::create(ctx, &Actor::cli(), new).await {
        Ok(created) => created,
        Err(tokens::TokenError::Invalid(list)) => return Err(faults("not created:", &list)),
        Err(error) => return Err(error.into()),
    };
    let (id, name, secret) = (created.token.id, &created.token.name, created.secret.expose());
    let document = json!({ "id": id, "name": name, "token": secret, "receipt": created.receipt });
    output.print(&document, || format!("{secret}\n\nStore this token now: it is not shown again."))
}

pub async fn partner(ctx: &Ctx, command: PartnerCommand, output: Output) -> Result<()> {
    match command {
        PartnerCommand::Create { name, email } => {
            let partner = match partners::create(ctx, &Actor::cli(), &name, &email).await {
                Ok(partner) => partner,
                Err(partners::PartnerError::Invalid(list)) => {
                    return Err(faults("not created:", &list));
                }
                Err(error) => return Err(error.into()),
            };
            let document = json!({ "id": partner.id, "name": partner.name, "email": email });
            output.print(&document, || format!("Created partner {} ({name}).", partner.id))
        }
        PartnerCommand::List => {
            let mut found = Vec::new();
            let mut cursor = None;
            loop {
                let page = PageRequest { cursor, ..PageRequest::default() };
                let rows = partners::list(ctx, &Actor::cli(), page).await?;
                let Some(last) = rows.last() else { break };
                cursor = Some(last.id);
                found.extend(rows);
            }
            let rows: Vec<_> =
                found.iter().map(|p| vec![p.id.to_string(), p.name.clone()]).collect();
            let list: Vec<_> =
                found.iter().map(|p| json!({ "id": p.id, "name": p.name })).collect();
            output.print(&json!({ "partners": list }), || table(&["ID", "NAME"], &rows))
        }
    }
}
