//! Who asks, and what they may do. Every use case takes an [`Actor`] and asks it first.
//!
//! What belongs to another partner does not exist for the asker ([`Denied::NotFound`]); what belongs to the
//! asker's partner but needs a stronger role is [`Denied::RoleMissing`].

use std::fmt;

use keytoll_domain::ids::{PartnerId, TokenId, UserId};
use keytoll_domain::user::{PartnerRole, StaffRole};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    User(UserId),
    Token(TokenId),
    Cli,
    System,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Token(id) => write!(f, "token:{id}"),
            Self::Cli => f.write_str("cli"),
            Self::System => f.write_str("system"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub who: Who,
    pub staff: Option<StaffRole>,
    pub partners: Vec<(PartnerId, PartnerRole)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("not found")]
    NotFound,
    #[error("your role does not allow this")]
    RoleMissing,
    /// The asker belongs to several partners, or to none, and named none.
    #[error("say which partner")]
    PartnerRequired,
}

/// What a partner's member wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// See keys, usage and plans.
    Read,
    /// Create, roll, disable and revoke keys.
    Keys,
    /// Buy and cancel; see invoices.
    Billing,
    /// See the audit trail, manage members and tokens.
    Manage,
}

impl Actor {
    /// The command line: whoever can run it on the machine is the provider.
    pub fn cli() -> Self {
        Self { who: Who::Cli, staff: Some(StaffRole::Owner), partners: Vec::new() }
    }

    /// Jobs of the program itself.
    pub fn system() -> Self {
        Self { who: Who::System, staff: Some(StaffRole::Owner), partners: Vec::new() }
    }

    pub fn user(&self) -> Option<UserId> {
        match self.who {
            Who::User(id) => Some(id),
            Who::Token(_) | Who::Cli | Who::System => None,
        }
    }

    /// Staff who may change the catalogue, partners and keys.
    pub fn is_admin(&self) -> bool {
        matches!(self.staff, Some(StaffRole::Owner | StaffRole::Admin))
    }

    /// Staff of any role that sees partners' data; a verifier token sees none.
    pub fn is_staff(&self) -> bool {
        self.staff.is_some_and(|role| role != StaffRole::Verifier)
    }

    pub fn require_admin(&self) -> Result<(), Denied> {
        if self.is_admin() { Ok(()) } else { Err(Denied::RoleMissing) }
    }

    pub fn require_staff(&self) -> Result<(), Denied> {
        if self.is_staff() { Ok(()) } else { Err(Denied::RoleMissing) }
    }

    pub fn role_in(&self, partner: PartnerId) -> Option<PartnerRole> {
        self.partners.iter().find(|(id, _)| *id == partner).map(|(_, role)| *role)
    }

    /// Whether the actor may do this to a partner's things.
    pub fn require(&self, partner: PartnerId, right: Right) -> Result<(), Denied> {
        let staff = self.staff.is_some_and(|role| staff_may(role, right));
        if staff || self.role_in(partner).is_some_and(|role| partner_may(role, right)) {
            Ok(())
        } else if self.is_staff() || self.role_in(partner).is_some() {
            Err(Denied::RoleMissing)
        } else {
            Err(Denied::NotFound)
        }
    }

    /// The partner a request is about: the one named, else the actor's only one.
    pub fn subject(&self, named: Option<PartnerId>, right: Right) -> Result<PartnerId, Denied> {
        let partner = match (named, self.partners.as_slice()) {
            (Some(named), _) => named,
            (None, [(only, _)]) => *only,
            // Naming a partner would not help staff whose role does not allow this to any.
            (None, []) if self.staff.is_some_and(|role| !staff_may(role, right)) => {
                return Err(Denied::RoleMissing);
            }
            (None, _) => return Err(Denied::PartnerRequired),
        };
        self.require(partner, right)?;
        Ok(partner)
    }

    /// For lists: like [`Actor::subject`], but staff who name no partner see all (`None`).
    pub fn list_subject(
        &self,
        named: Option<PartnerId>,
        right: Right,
    ) -> Result<Option<PartnerId>, Denied> {
        match (named, self.staff) {
            (None, Some(role)) if staff_may(role, right) => Ok(None),
            _ => self.subject(named, right).map(Some),
        }
    }
}

fn staff_may(role: StaffRole, right: Right) -> bool {
    match role {
        StaffRole::Owner | StaffRole::Admin => true,
        StaffRole::Finance => matches!(right, Right::Read | Right::Billing),
        StaffRole::Support => matches!(right, Right::Read | Right::Keys),
        StaffRole::Viewer => right == Right::Read,
        StaffRole::Verifier => false,
    }
}

fn partner_may(role: PartnerRole, right: Right) -> bool {
    match role {
        PartnerRole::Owner => true,
        PartnerRole::Developer => matches!(right, Right::Read | Right::Keys),
        PartnerRole::Billing => matches!(right, Right::Read | Right::Billing),
        PartnerRole::Viewer => right == Right::Read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(role: PartnerRole) -> Actor {
        let partners = vec![(PartnerId::from_bytes([1; 16]), role)];
        Actor { who: Who::System, staff: None, partners }
    }

    #[test]
    fn a_foreign_partner_is_not_found_and_an_own_one_needs_the_role() {
        let own = PartnerId::from_bytes([1; 16]);
        let foreign = PartnerId::from_bytes([2; 16]);
        let viewer = member(PartnerRole::Viewer);
        assert_eq!(viewer.require(own, Right::Read), Ok(()));
        assert_eq!(viewer.require(own, Right::Keys), Err(Denied::RoleMissing));
        assert_eq!(viewer.require(foreign, Right::Read), Err(Denied::NotFound));
        assert_eq!(member(PartnerRole::Developer).require(own, Right::Keys), Ok(()));
        assert_eq!(
            member(PartnerRole::Developer).require(own, Right::Billing),
            Err(Denied::RoleMissing)
        );
    }

    #[test]
    fn the_subject_is_the_one_named_or_the_only_one() {
        let own = PartnerId::from_bytes([1; 16]);
        assert_eq!(member(PartnerRole::Owner).subject(None, Right::Keys), Ok(own));
        assert_eq!(Actor::cli().subject(None, Right::Keys), Err(Denied::PartnerRequired));
        assert_eq!(Actor::cli().subject(Some(own), Right::Keys), Ok(own));
        assert_eq!(Actor::cli().list_subject(None, Right::Read), Ok(None));
        assert_eq!(member(PartnerRole::Viewer).list_subject(None, Right::Read), Ok(Some(own)));
    }

    #[test]
    fn a_verifier_token_sees_no_partner() {
        let partner = PartnerId::from_bytes([1; 16]);
        let verifier =
            Actor { who: Who::System, staff: Some(StaffRole::Verifier), partners: Vec::new() };
        assert_eq!(verifier.require(partner, Right::Read), Err(Denied::NotFound));
        assert_eq!(verifier.require_staff(), Err(Denied::RoleMissing));
        assert_eq!(verifier.list_subject(None, Right::Read), Err(Denied::RoleMissing));
    }
}
