use base64::Engine as _;
use keytoll_domain::feed::Changed;
use keytoll_domain::key::{Environment, KeyHash};

use super::*;

const KEY: &str = "legacy_4f9a1b2c3d4e5f60";

async fn import_text(world: &World, text: &str) -> Result<Imported, ImportError> {
    import_bytes(world, &Actor::cli(), text.as_bytes()).await
}

async fn import_bytes(world: &World, actor: &Actor, bytes: &[u8]) -> Result<Imported, ImportError> {
    let mut file = std::io::Cursor::new(bytes);
    import(&world.bench.ctx, actor, world.subscription, &mut file, &mut |_| ()).await
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
        let [change] = changes.as_slice() else { panic!("{changes:?}") };
        let Changed::Keys(keys) = &change.record else { panic!("{change:?}") };
        assert_eq!((change.sequence, keys.len()), (1, 4));
        assert_eq!(keys[3].rate_limit_per_minute, Some(20_000));

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
        assert!(found[0].message.contains("needs its key's visible prefix"));
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
        let own = import_bytes(&world, &world.owner, b"").await.unwrap_err();
        assert!(matches!(own, ImportError::Denied(Denied::RoleMissing)), "{own:?}");
        let large = "x\n".repeat(IMPORT_MAX_LINES + 1);
        assert!(matches!(import_text(&world, &large).await, Err(ImportError::TooLarge)));
        let bytes = import_bytes(&world, &Actor::cli(), &[0xff]).await;
        assert!(matches!(bytes, Err(ImportError::NotText)));
        let wide = format!("{KEY}\n{}", "x".repeat(20_000));
        assert_eq!(faults(import_text(&world, &wide).await)[0].line, 2);
    })
    .await;
}

/// A hash by its form; nothing here checks a secret against it.
const BCRYPT: &str = "$2y$05$bcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01";

fn bcrypt_line(hash: &str, prefix: &str) -> String {
    format!("{}\n", json!({ "hash": hash, "hash_kind": "bcrypt", "prefix": prefix }))
}

/// A hash that differs from others in its number.
fn bcrypt_of(number: usize) -> String {
    format!("{}{number:02}", &BCRYPT[..58])
}

#[tokio::test]
async fn import_takes_bcrypt_hashes_with_a_prefix() {
    in_world(async |world| {
        let ctx = &world.bench.ctx;
        let text = bcrypt_line(BCRYPT, "legacy-s");
        let first = import_text(&world, &text).await.unwrap();
        assert_eq!((first.keys, first.duplicates), (1, vec![]));
        let again = import_text(&world, &text).await.unwrap();
        assert_eq!((again.keys, again.duplicates), (0, vec![1]));

        let keys = crate::feed::keys(ctx, None).await.unwrap();
        let bcrypt = keys[0].bcrypt.as_deref().unwrap();
        assert_eq!((bcrypt.prefix.as_str(), bcrypt.hash.as_str()), ("legacy-s", BCRYPT));
        assert_ne!(keys[0].hash, KeyHash::of(BCRYPT.as_bytes()), "a leaked hash opens nothing");
        let Changed::Keys(told) = &crate::feed::changes(ctx, 0, 9).await.unwrap()[0].record else {
            panic!("the import is told as one change")
        };
        assert!(told[0].bcrypt.is_some());

        let digest = KeyHash::of(b"legacy-secret-number-one");
        assert!(upgrade(ctx, keys[0].id, digest).await.unwrap());
        assert!(!upgrade(ctx, keys[0].id, digest).await.unwrap(), "once");
        let keys = crate::feed::keys(ctx, None).await.unwrap();
        assert_eq!((keys[0].hash, &keys[0].bcrypt), (digest, &None));
        let last = crate::feed::changes(ctx, 1, 9).await.unwrap().pop().unwrap();
        assert!(matches!(last.record, Changed::Key(key) if key.hash == digest));
        assert_eq!(import_text(&world, &text).await.unwrap().duplicates, [1]);
    })
    .await;
}

#[tokio::test]
async fn upgrade_leaves_a_revoked_key_alone() {
    in_world(async |world| {
        let ctx = &world.bench.ctx;
        import_text(&world, &bcrypt_line(BCRYPT, "legacy-s")).await.unwrap();
        let id = crate::feed::keys(ctx, None).await.unwrap()[0].id;
        revoke(ctx, &Actor::cli(), id).await.unwrap();
        assert!(!upgrade(ctx, id, KeyHash::of(b"x")).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn import_refuses_bcrypt_that_could_not_be_checked() {
    in_world(async |world| {
        let nine: String = (10..19).map(|number| bcrypt_line(&bcrypt_of(number), "same")).collect();
        let found = faults(import_text(&world, &nine).await);
        assert_eq!(found.iter().map(|fault| fault.line).collect::<Vec<_>>(), [9]);
        assert!(found[0].message.contains("8 bcrypt keys"), "{found:?}");
        assert!(world.all().await.is_empty());
        for (hash, prefix, says) in [
            (BCRYPT.replace("$05$", "$15$"), "legacy", "cost of 4 to 14"),
            (BCRYPT.replace("$05$", "$0x$"), "legacy", "60 characters"),
            (BCRYPT.replace("$2y$", "$2x$"), "legacy", "60 characters"),
            (BCRYPT.replace("$05$bc", "$0é$b"), "legacy", "60 characters"),
            (BCRYPT[..59].to_owned(), "legacy", "60 characters"),
            (BCRYPT.to_owned(), "leg", "at least 4"),
        ] {
            let found = faults(import_text(&world, &bcrypt_line(&hash, prefix)).await);
            assert!(found[0].message.contains(says), "{hash}: {found:?}");
        }
    })
    .await;
}
