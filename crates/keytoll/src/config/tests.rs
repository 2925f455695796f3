use super::load::Source;
use super::*;

fn file(text: &str) -> (tempdir::Dir, PathBuf) {
    let dir = tempdir::Dir::new();
    let path = dir.0.join("keytoll.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn load_text(text: &str, environment: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let (_dir, path) = file(text);
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    load(Some(&path), environment)
}

/// A folder of its own for each test, removed at its end.
mod tempdir {
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    pub struct Dir(pub PathBuf);
    static NEXT: AtomicU32 = AtomicU32::new(0);

    impl Dir {
        pub fn new() -> Self {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("keytoll-config-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

#[test]
fn later_sources_win_and_are_named() {
    let loaded = load_text(
        "[gateway]\nlisten = \"127.0.0.1:1\"\n[portal]\nlisten = \"127.0.0.1:2\"\n",
        &[("KEYTOLL_GATEWAY__LISTEN", "127.0.0.1:3"), ("KEYTOLL_BIN", "x"), ("HOME", "y")],
    )
    .unwrap();
    assert_eq!(loaded.config.gateway_listen.port(), 3);
    assert_eq!(loaded.config.public_url, "http://127.0.0.1:2");
    assert_eq!(loaded.config.gateway_url, "http://127.0.0.1:3");
    let source = |name| loaded.entries[name].source.clone();
    assert_eq!(source("gateway.listen"), Source::Environment("KEYTOLL_GATEWAY__LISTEN".into()));
    assert!(matches!(source("portal.listen"), Source::File(_)));
    assert_eq!(source("journal.fsync"), Source::Default);
}

#[test]
fn the_data_folder_leads_database_and_log() {
    let config = load_text("data_dir = \"/tmp/x\"", &[]).unwrap().config;
    assert_eq!(config.storage_url, "sqlite:/tmp/x/keytoll.db");
    assert_eq!(config.access_log, AccessLog::File("/tmp/x/access.log".into()));
}

#[test]
fn an_unknown_key_names_its_place_and_the_likely_one() {
    let error = load_text("[gateway]\nlisten_on = \"x\"", &[]).unwrap_err().to_string();
    assert!(error.contains("keytoll.toml") && error.contains("`gateway.listen_on`"), "{error}");
    assert!(error.contains("did you mean `gateway.listen`"), "{error}");
    let error = load_text("", &[("KEYTOLL_GATEWAY__LISTN", "x")]).unwrap_err().to_string();
    assert!(error.contains("KEYTOLL_GATEWAY__LISTN"), "{error}");
    assert!(load_text("[nonsense]\na = 1", &[]).is_err());
    assert!(load_text("gateway = 5", &[]).is_err());
}

#[test]
fn bad_values_are_refused_with_the_key() {
    for text in [
        "[gateway]\nlisten = \"nowhere\"",
        "[gateway]\nlisten = 80",
        "[gateway]\nworkers = -1",
        "[gateway]\nworkers = 257",
        "[gateway]\ntrusted_proxies = [\"10.0.0.0/33\"]",
        "[portal]\npublic_url = \"example.org\"",
        "[portal]\npublic_url = \"https://example.org/x\"",
        "[gateway]\npublic_url = \"api.example.org\"",
        "[gateway.tls]\ncert = \"a.pem\"",
        "[gateway.tls]\nkey = \"a.key\"",
        "[[gateway.tls.extra]]\ncert = \"a.pem\"\nkey = \"a.key\"",
        "[gateway.tls]\ncert = \"a\"\nkey = \"b\"\n[[gateway.tls.extra]]\ncert = \"c\"",
        "[gateway]\nproxy_protocol = \"on\"",
        "[gateway]\nproxy_protocol = \"trusted\"",
        "[gateway]\nconnections_per_address = 0",
        "[gateway]\nconnections_max = 0",
        "[gateway]\nhead_max_bytes = 100",
        "[gateway]\nhead_secs = 0",
        "[gateway]\nidle_secs = 1000000",
        "[gateway]\nstop_delay_secs = 301",
        "[journal]\nfsync = \"soon\"",
        "[journal]\nfsync = \"0s\"",
        "[journal]\nmax_bytes = 1",
        "[otlp]\nendpoint = \"collector:4318\"",
        "[otlp]\nsample = 2",
        "[otlp]\nsample = \"all\"",
        "[otlp]\nheaders = \"a: b\"",
        "[otlp.headers]\nhost = \"secret\"",
        "[otlp.headers]\na = 1",
        "[keys]\nbrand = \"a_b\"",
        "[keys]\nactive_max = 0",
        "[redis]\nurl = \"redis://127.0.0.1\"",
        "[redis]\non_counter_failure = \"maybe\"",
        "data_dir = \"\"",
    ] {
        let error = load_text(text, &[]).unwrap_err();
        assert!(matches!(error, ConfigError::BadValue { .. }), "{text}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert!(matches!(load_text("a = ", &[]), Err(ConfigError::NotToml { .. })));
    let missing = load(Some(std::path::Path::new("/nowhere/keytoll.toml")), std::iter::empty());
    assert!(matches!(missing, Err(ConfigError::Unreadable { .. })));
}

#[test]
fn certificates_come_from_a_section_within_a_section_or_the_environment() {
    let loaded = load_text(
        "[gateway.tls]\ncert = \"a.pem\"\nkey = \"a.key\"\n\
         [[gateway.tls.extra]]\ncert = \"b.pem\"\nkey = \"b.key\"\n",
        &[("KEYTOLL_GATEWAY__TLS__CERT", "c.pem")],
    );
    let config = loaded.unwrap().config;
    let pair = |cert: &str, key: &str| TlsFiles { cert: cert.into(), key: key.into() };
    assert_eq!(config.tls, [pair("c.pem", "a.key"), pair("b.pem", "b.key")]);
    assert_eq!(config.gateway_url, "https://127.0.0.1:8080");
    let error = load_text("[gateway.tls]\ncrt = \"a\"", &[]).unwrap_err().to_string();
    assert!(error.contains("did you mean `gateway.tls.cert`"), "{error}");
}

#[test]
fn bounds_of_the_listener_reach_the_gateway() {
    let config = load_text(
        "[gateway]\nproxy_protocol = \"trusted\"\ntrusted_proxies = [\"10.0.0.1\"]\n\
         connections_per_address = 7\nbody_max_bytes = 9\nidle_secs = 5\n",
        &[],
    );
    let config = config.unwrap().config;
    assert_eq!(config.proxy_protocol, ProxyProtocol::Trusted);
    assert_eq!((config.bounds.connections_per_address, config.bounds.body_max_bytes), (7, 9));
    assert_eq!(config.bounds.idle, Duration::from_secs(5));
}

#[test]
fn traces_are_off_until_there_is_a_collector() {
    assert!(load_text("[otlp]\nsample = 1\n", &[]).unwrap().config.otlp.is_none());
    let loaded = load_text(
        "[otlp]\nendpoint = \"http://127.0.0.1:4318\"\nsample = 1\n\
         [otlp.headers]\nauthorization = \"secret\"\n",
        &[("KEYTOLL_OTLP__SAMPLE", "0.5")],
    );
    let shown = format!("{:?}", loaded.unwrap().config.otlp);
    assert_eq!(shown, "Some(OtlpOptions(127.0.0.1:4318, 0.5, …))");
    let headers = [
        ("KEYTOLL_OTLP__ENDPOINT", "https://collector.example"),
        ("KEYTOLL_OTLP__HEADERS", "{authorization = \"secret\"}"),
    ];
    assert!(load_text("", &headers).unwrap().config.otlp.is_some());
}

#[test]
fn the_defaults_of_the_bounds_are_those_of_the_gateway() {
    let config = load_text("", &[]).unwrap().config;
    assert_eq!(format!("{:?}", config.bounds), format!("{:?}", Bounds::default()));
}

#[test]
fn every_default_is_valid() {
    let config = load_text("", &[]).unwrap().config;
    assert_eq!(config.journal_fsync, Duration::from_secs(1));
    assert!(config.gateway_workers >= 1);
}

/// The reference page holds this table; a key that is added here without it fails the test.
#[test]
fn the_reference_lists_every_key_as_it_is() {
    let page = include_str!("../../../../docs/reference/config.md");
    for spec in KEYS {
        let default = if spec.default.is_empty() {
            "not set".to_owned()
        } else {
            format!("`{}`", spec.default)
        };
        let row = format!("| `{}` | {default} | {} |\n", spec.name, spec.help);
        assert!(page.contains(&row), "docs/reference/config.md lacks: {row}");
    }
}

#[test]
fn a_store_of_another_kind_is_refused() {
    let error = load_text("[storage]\nurl = \"mysql://h/db\"", &[]).unwrap_err().to_string();
    assert!(error.contains("`storage.url` must begin with sqlite: or postgres://"), "{error}");
    assert!(load_text("[storage]\nurl = \"postgresql://h/db\"", &[]).is_ok());
}

#[test]
fn one_address_for_two_listeners_is_refused() {
    let error = load_text("[portal]\nlisten = \"127.0.0.1:8080\"", &[]).unwrap_err().to_string();
    assert!(error.contains("`portal.listen` is gateway.listen too"), "{error}");
}
