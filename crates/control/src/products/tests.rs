use std::sync::Arc;

use keytoll_domain::ids::Slug;
use keytoll_store::testing::on_each_engine;

use super::*;
use crate::testing::Bench;

const SPLIT: &str = r#"
openapi: 3.0.3
info: {title: Split, version: "1"}
paths:
  /a:
    $ref: "./paths/a.yaml"
"#;

fn beside(path: &str) -> Result<Vec<u8>, String> {
    match path {
        "paths/a.yaml" => Ok(b"get: {summary: From a file, responses: {}}".to_vec()),
        _ => Err("not found".into()),
    }
}

fn split<'a>() -> ImportProduct<'a> {
    let upstream = Some("http://127.0.0.1:9000");
    ImportProduct {
        id: "split",
        spec: SPLIT.into(),
        loader: Some(&beside),
        upstream,
        ..Default::default()
    }
}

#[tokio::test]
async fn an_import_keeps_the_files_of_its_document() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        let draft = split().read().unwrap();
        let change = import(&bench.ctx, &Actor::cli(), &draft).await.unwrap();
        assert_eq!(change.action, Action::Created);
        let id = Slug::new("split").unwrap();
        let stored = document(&bench.ctx, &id).await.unwrap().unwrap();
        assert_eq!(stored.media_type, "application/yaml");
        assert_eq!(stored.document.operations[0].summary, "From a file");
        let again = import(&bench.ctx, &Actor::cli(), &draft).await.unwrap();
        assert_eq!(again.action, Action::Unchanged);
    })
    .await;
}

#[tokio::test]
async fn a_document_is_read_once_until_it_changes() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        import(&bench.ctx, &Actor::cli(), &split().read().unwrap()).await.unwrap();
        let id = Slug::new("split").unwrap();
        let shown = async || document(&bench.ctx, &id).await.unwrap().unwrap();
        let (first, second) = tokio::join!(shown(), shown());
        assert!(Arc::ptr_eq(&first, &second));
        for version in 2..20 {
            let spec = SPLIT.replace("\"1\"", &format!("\"{version}\"")).into_bytes();
            let draft = ImportProduct { spec, ..split() }.read().unwrap();
            import(&bench.ctx, &Actor::cli(), &draft).await.unwrap();
            assert_eq!(shown().await.document.version, version.to_string());
        }
        assert_eq!(Arc::strong_count(&first), 2, "old documents are let go of");
    })
    .await;
}

#[tokio::test]
async fn an_import_keeps_what_it_does_not_name() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        import(&bench.ctx, &Actor::cli(), &split().read().unwrap()).await.unwrap();
        let spec = SPLIT.replace("\"1\"", "\"2\"").into_bytes();
        let draft = ImportProduct { spec, upstream: None, ..split() }.read().unwrap();
        let change = import(&bench.ctx, &Actor::cli(), &draft).await.unwrap();
        assert_eq!(change.details, ["version changed", "document changed"]);
        let id = Slug::new("split").unwrap();
        let shown = show(&bench.ctx, &Actor::cli(), &id).await.unwrap().unwrap();
        assert_eq!(shown.upstream.as_deref(), Some("http://127.0.0.1:9000"));
    })
    .await;
}

#[tokio::test]
async fn a_document_with_nul_characters_is_imported_by_both_engines() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        let spec = r#"{"openapi":"3.0.0","info":{"title":"N\u0000l","version":"1","description":"\u0000"},
            "paths":{"/a\u0000":{"get":{"summary":"\u0000","tags":["\u0000"],"responses":{}}}}}"#;
        let draft = ImportProduct { spec: spec.into(), ..split() }.read().unwrap();
        let change = import(&bench.ctx, &Actor::cli(), &draft).await.unwrap();
        assert_eq!(change.action, Action::Created);
        let shown = show(&bench.ctx, &Actor::cli(), &draft.id).await.unwrap().unwrap();
        assert_eq!(shown.name, "Nl");
        let again = import(&bench.ctx, &Actor::cli(), &draft).await.unwrap();
        assert_eq!(again.action, Action::Unchanged);
    })
    .await;
}

#[test]
fn bad_imports_name_the_member() {
    let told = |import: ImportProduct| {
        let faults = import.read().unwrap_err();
        faults.into_iter().map(|fault| fault.pointer).collect::<Vec<_>>()
    };
    for id in ["v1", "v2", "api", "unkey", "healthz", "readyz", "metrics", "assets", "", "A", "-a"]
    {
        assert_eq!(told(ImportProduct { id, ..split() }), ["/id"], "{id}");
    }
    assert_eq!(told(ImportProduct { spec: b"3".to_vec(), ..split() }), ["/spec"]);
    let bad = ImportProduct { upstream: Some("x"), sandbox: Some("file:///etc"), ..split() };
    assert_eq!(told(bad), ["/upstream", "/sandbox"]);
}

#[test]
fn addresses() {
    let good = [
        "http://127.0.0.1:9000/a/",
        "https://[::1]:8443/x",
        "https://api.example.com",
        "http://[::1]",
    ];
    for url in good {
        assert_eq!(check_url(url), Ok(url.trim_end_matches('/').to_owned()));
    }
    let bad = [
        "",
        "/x",
        "x",
        "ftp://a",
        "http://",
        "http:///x",
        "http://u@a",
        "http://u:p@a/x",
        "http://a?q",
        "http://a/#f",
        "http://a:0",
        "http://a:99999",
        "http://a:",
        "http://a b/",
        "http://a:x/",
        "http://[::1]:/",
    ];
    for url in bad {
        assert!(check_url(url).is_err(), "{url}");
    }
}
