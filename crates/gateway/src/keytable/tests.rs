use keytoll_domain::scope::ScopeSet;

use super::*;
use crate::cells;

const NOON: Timestamp = Timestamp(1_795_262_400_000_000);

fn terms(table: &KeyTable, number: u8, limit_per_minute: Option<u64>) -> KeyTerms {
    let subscription = SubscriptionId::from_bytes([1; 16]);
    KeyTerms {
        id: KeyId::from_bytes([number; 16]),
        subscription: table.subscription(subscription, PartnerId::from_bytes([2; 16])),
        environment: Environment::Live,
        scopes: Arc::new(HeldScopes::new(ScopeSet::All, std::iter::empty::<&str>())),
        disabled: false,
        limit_per_minute,
        expires_at: None,
        rare: Rare::default(),
    }
}

fn digest(number: u8) -> KeyHash {
    KeyHash::of(&[number])
}

#[test]
fn an_idle_key_is_small() {
    assert!(size_of::<KeyRecord>() <= 96, "{} bytes", size_of::<KeyRecord>());
}

#[test]
fn put_with_another_digest_moves_the_key() {
    let table = KeyTable::default();
    table.put(digest(1), terms(&table, 7, None));
    table.put(digest(2), terms(&table, 7, None));
    assert!(table.find(&digest(1)).is_none());
    assert_eq!(table.find(&digest(2)).unwrap().partner(), PartnerId::from_bytes([2; 16]));
    assert_eq!(table.len(), 1);
    assert!(table.rehash(KeyId::from_bytes([7; 16]), digest(3)).is_some());
    assert!(table.find(&digest(2)).is_none() && table.find(&digest(3)).is_some());
    table.remove(KeyId::from_bytes([7; 16]));
    assert!(table.find(&digest(3)).is_none() && table.len() == 0);
    assert!(table.rehash(KeyId::from_bytes([7; 16]), digest(4)).is_none());
}

#[test]
fn a_replaced_record_counts_with_its_successor() {
    let table = KeyTable::default();
    table.put(digest(1), terms(&table, 7, Some(1)));
    // A call found the record before its first count, then the key was changed.
    let held = table.find(&digest(1)).unwrap();
    table.put(digest(1), terms(&table, 7, Some(1)));
    let admit = |record: &KeyRecord| {
        let terms = record.terms(&record.subscription.state.load());
        let cell = record.cell(&terms.key);
        cells::admit(None, record.subscription_cell(), &cell, &terms, 1, NOON)
    };
    assert!(admit(&held).is_ok());
    assert!(admit(&table.find(&digest(1)).unwrap()).is_err(), "the limit is one a minute");
}

#[test]
fn counters_of_keys_are_freed_when_idle_and_forgotten_with_the_key() {
    let table = KeyTable::default();
    table.put(digest(1), terms(&table, 7, Some(10)));
    let record = table.find(&digest(1)).unwrap();
    let policy = record.policy(&record.subscription.state.load());
    record.cell(&policy).record(&policy, NOON, 1);
    let cells = || record.subscription.key_cells().len();
    table.drop_idle_cells(NOON.plus_days(2));
    assert_eq!(cells(), 1);
    let subscription = record.subscription.clone();
    table.remove(record.id);
    drop(record);
    table.drop_idle_cells(NOON.plus_days(2));
    assert_eq!(subscription.key_cells().len(), 0);
}
