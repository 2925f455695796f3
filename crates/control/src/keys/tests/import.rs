use base64::Engine as _;
use keytoll_domain::key::{Environment, KeyHash};

use super::*;

const KEY: &str = "legacy_4f9a1b2c3d4e5f60";

async fn import_text(world: &World, text: &str) -> Result<Imported, ImportError> {
    import(&world.bench.ctx, &Actor::cli(), world.subscription, text.as_bytes()).await
}

fn faults(outcome: Result<Imported, ImportError>) -> Vec<LineFault> {
    match outcome {
        Err(ImportError::Lines(faults)) => faults,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn import_reads_keys_hashes_and_objects() {
    in_world(async |world| {
        let hex = KeyHash::of(b"second-legacy-key-00").hex();
        let third = KeyHash::of(b"third-legacy-key-000");
        let base64 = base64::engine::general_purpose::STANDARD.encode(third.0);
        let object = json!({
            "hash": KeyHash::of(b"fourth").hex(), "hash_kind": "sha256", "prefix": "acme_",
            "name": "Fourth", "scopes": ["tracking:read"], "environment": "sandbox",
            "rate_limit_per_minute": 20_000, "expires_at": "2027-01-01T00:00:00Z",
        });
        let text = format!("{KEY}\r\n\n{hex}\n{base64}\n{object}\n");
        let imported = import_text(&world, &text).await.unwrap();
        assert_eq!((imported.keys, imported.duplicates), (4, Vec::new()));
        let changes = crate::feed::changes(&world.bench.ctx, 0, 10).await.unwrap();
        assert_eq!(changes.iter().map(|change| change.sequence).collect::<Vec<_>>(), [1, 2, 3, 4]);

        let mut tx = world.bench.ctx.store.read().await.unwrap();
        let by_hash = keytoll_store::key::key_by_hash;
        let first = by_hash(&mut tx, KeyHash::of(KEY.as_bytes())).await.unwrap().unwrap();
        assert_eq!((first.prefix.as_str(), first.imported), ("legac", true));
        assert_eq!(first.scopes, ["*"]);
        assert_eq!(first.rate_limit_per_minute, None);
        let second = KeyHash::of(b"second-legacy-key-00");
        assert!(by_hash(&mut tx, second).await.unwrap().is_some());
        assert!(by_hash(&mut tx, third).await.unwrap().is_some());
        let fourth = by_hash(&mut tx, KeyHash::of(b"fourth")).await.unwrap().unwrap();
        assert_eq!((fourth.prefix.as_str(), fourth.environment), ("acme_", Environment::Test));
    })
    .await;
}

#[tokio::test]
async fn import_is_all_or_nothing_and_never_repeats_a_line() {
    in_world(async |world| {
        let text = format!(
            "{KEY}\n$2b$12$abcdefghijklmnopqrstuu\nshort\n{{\"key\":\"{KEY}x\",\"scopes\":[\"other:read\"]}}\n\
             {{\"key\":17}}\n"
        );
        let found = faults(import_text(&world, &text).await);
        assert_eq!(found.iter().map(|fault| fault.line).collect::<Vec<_>>(), [2, 3, 5]);
        assert!(found[0].message.starts_with("bcrypt"));
        assert!(!format!("{found:?}").contains("legacy"));
        let scope = format!("{KEY}\n{{\"key\":\"{KEY}x\",\"scopes\":[\"other:read\"]}}\n");
        assert_eq!(faults(import_text(&world, &scope).await)[0].line, 2);
        assert!(world.all().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn import_reports_duplicates_and_does_not_count_against_the_cap() {
    in_world(async |world| {
        world.issue_many(25).await;
        let text = format!("{KEY}\n{KEY}\n{KEY}-two\n");
        let first = import_text(&world, &text).await.unwrap();
        assert_eq!((first.keys, first.duplicates), (2, vec![2]));
        let second = import_text(&world, &text).await.unwrap();
        assert_eq!((second.keys, second.duplicates), (0, vec![1, 2, 3]));
        let full = world.issue(new_key("26th")).await.unwrap_err();
        assert!(matches!(full, IssueError::TooMany { limit: 25 }), "{full:?}");
    })
    .await;
}

#[tokio::test]
async fn import_is_for_admins_and_bounded() {
    in_world(async |world| {
        let ctx = &world.bench.ctx;
        let own = import(ctx, &world.owner, world.subscription, b"").await.unwrap_err();
        assert!(matches!(own, ImportError::Denied(Denied::RoleMissing)), "{own:?}");
        let large = "x\n".repeat(IMPORT_MAX_LINES + 1);
        assert!(matches!(import_text(&world, &large).await, Err(ImportError::TooLarge)));
        let bytes = import(ctx, &Actor::cli(), world.subscription, &[0xff]).await;
        assert!(matches!(bytes, Err(ImportError::NotText)));
    })
    .await;
}
