use keytoll_store::testing::on_each_engine;

use super::*;
use crate::partners;
use crate::testing::Bench;

fn named(name: &str, role: Option<&str>, partner: Option<PartnerId>) -> NewToken {
    NewToken { name: name.into(), role: role.map(Into::into), partner }
}

#[tokio::test]
async fn a_token_stands_for_its_role_until_it_is_revoked() {
    on_each_engine(async |db| {
        let ctx = &Bench::new(db).ctx;
        let made = create(ctx, &Actor::cli(), named("ci", Some("verifier"), None)).await.unwrap();
        let secret = made.secret.expose();
        assert!(secret.starts_with("kt_") && secret.len() == 46);
        assert!(!format!("{made:?}").contains(secret));
        let actor = authenticate(ctx, secret).await.unwrap().unwrap();
        assert_eq!(
            (actor.who, actor.staff),
            (Who::Token(made.token.id), Some(StaffRole::Verifier))
        );
        let changes = crate::feed::changes(ctx, 0, 10).await.unwrap();
        assert_eq!(changes.len(), 1);
        revoke(ctx, &Actor::cli(), made.token.id).await.unwrap();
        assert!(authenticate(ctx, secret).await.unwrap().is_none());
        let again = revoke(ctx, &Actor::cli(), made.token.id).await.unwrap_err();
        assert!(matches!(again, TokenError::Denied(Denied::NotFound)), "{again:?}");
        assert!(authenticate(ctx, "kt_x").await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_token_never_holds_more_than_its_maker() {
    on_each_engine(async |db| {
        let ctx = &Bench::new(db).ctx;
        let cli = Actor::cli();
        let partner = partners::create(ctx, &cli, "Acme (demo)", "a@example.com").await.unwrap().id;
        let member =
            |role| Actor { who: Who::System, staff: None, partners: vec![(partner, role)] };
        let developer = member(PartnerRole::Developer);
        for role in ["owner", "billing"] {
            let more = create(ctx, &developer, named("t", Some(role), None)).await.unwrap_err();
            assert!(matches!(more, TokenError::Denied(Denied::RoleMissing)), "{more:?}");
        }
        // `admin` is a role of staff; a partner has none of that name.
        let unknown = create(ctx, &developer, named("t", Some("admin"), None)).await.unwrap_err();
        assert!(matches!(unknown, TokenError::Invalid(_)), "{unknown:?}");
        let own = create(ctx, &developer, named("t", None, None)).await.unwrap();
        assert_eq!(own.token.role, TokenRole::Partner(partner, PartnerRole::Developer));

        let admin = Actor { who: Who::System, staff: Some(StaffRole::Admin), partners: Vec::new() };
        let owner = create(ctx, &admin, named("t", Some("owner"), None)).await.unwrap_err();
        assert!(matches!(owner, TokenError::Denied(Denied::RoleMissing)), "{owner:?}");
        let verifier =
            Actor { who: Who::System, staff: Some(StaffRole::Verifier), partners: Vec::new() };
        let foreign = create(ctx, &verifier, named("t", None, Some(partner))).await.unwrap_err();
        assert!(matches!(foreign, TokenError::Denied(Denied::NotFound)), "{foreign:?}");

        let stranger = Actor { who: Who::System, staff: None, partners: Vec::new() };
        let revoked = revoke(ctx, &stranger, own.token.id).await.unwrap_err();
        assert!(matches!(revoked, TokenError::Denied(Denied::NotFound)), "{revoked:?}");
        let listed = list(ctx, &member(PartnerRole::Owner), None, PageRequest::default()).await;
        assert_eq!(listed.unwrap().len(), 1);
    })
    .await;
}
