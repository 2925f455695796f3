use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use keytoll_domain::catalog::UpstreamTls;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::HandshakeKind;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::client;

use super::*;

/// A folder with an authority of its own.
pub(crate) struct Authority {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("keytoll-tls-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    /// A certificate for these names, in `LABEL.crt` and `LABEL.key`.
    pub(crate) fn issue(&self, label: &str, names: &[&str]) -> TlsFiles {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = self.files(label);
        fs::write(&files.cert, certificate.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    fn files(&self, label: &str) -> TlsFiles {
        let path = |kind| self.folder.join(format!("{label}.{kind}"));
        TlsFiles { cert: path("crt"), key: path("key") }
    }

    pub(crate) fn client(&self, server_name: Option<&str>, protocols: &[&[u8]]) -> ClientTls {
        let options = ClientTlsOptions {
            ca: Some(self.ca()),
            server_name: server_name.map(ToOwned::to_owned),
            ..ClientTlsOptions::default()
        };
        ClientTls::load(&options, protocols).unwrap()
    }
}

impl Authority {
    /// What a product says to trust it alone.
    pub(crate) fn upstream_tls(&self) -> UpstreamTls {
        UpstreamTls {
            ca: Some(self.folder.join("ca.pem").to_string_lossy().into_owned()),
            ..UpstreamTls::default()
        }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

type Ended = (client::TlsStream<TcpStream>, Option<Vec<u8>>);

/// One connection: the client's end after a byte came through, and the protocol that the server saw.
async fn connect(tls: &Arc<ServerTls>, client: &ClientTls, host: &str) -> io::Result<Ended> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let tls = tls.clone();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let mut stream = tls.accept(stream).await.map_err(io::Error::other)?;
        stream.write_all(b"!").await?;
        stream.shutdown().await?;
        let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        io::Result::Ok(protocol)
    });
    let mut stream = client.connect(host, TcpStream::connect(address).await?).await?;
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await?;
    assert_eq!(said, b"!");
    let protocol = serving.await.unwrap()?;
    Ok((stream, protocol))
}

/// The certificate that a client of this name is shown.
async fn shown(tls: &Arc<ServerTls>, authority: &Authority, host: &str) -> CertificateDer<'static> {
    let (stream, _) = connect(tls, &authority.client(None, &[]), host).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

fn certificate(files: &TlsFiles) -> CertificateDer<'static> {
    pem::certificates(&files.cert).unwrap().remove(0)
}

fn load(files: &[TlsFiles]) -> Arc<ServerTls> {
    Arc::new(ServerTls::load(files, &[b"h2", b"http/1.1"]).unwrap())
}

#[tokio::test]
async fn the_name_chooses_the_certificate() {
    let authority = Authority::new();
    let first = authority.issue("first", &["api.example.test"]);
    let second = authority.issue("second", &["*.other.test", "Exact.third.test"]);
    let tls = load(&[first.clone(), second.clone()]);
    assert_eq!(shown(&tls, &authority, "api.example.test").await, certificate(&first));
    assert_eq!(shown(&tls, &authority, "a.other.test").await, certificate(&second));
    assert_eq!(shown(&tls, &authority, "exact.third.test").await, certificate(&second));
    for stranger in ["a.b.other.test", "other.test", "nobody.test"] {
        let refused = connect(&tls, &authority.client(None, &[]), stranger).await;
        assert!(refused.is_err(), "{stranger} is in no certificate");
    }
    // The upstream's name may differ from the host.
    let client = authority.client(Some("api.example.test"), &[]);
    assert!(connect(&tls, &client, "127.0.0.1").await.is_ok());
}

#[tokio::test]
async fn protocols_are_agreed_and_sessions_resumed() {
    let authority = Authority::new();
    let tls = load(&[authority.issue("one", &["api.example.test"])]);
    for (offered, agreed) in [
        (&[&b"h2"[..], b"http/1.1"][..], Some(&b"h2"[..])),
        (&[b"http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let client = authority.client(None, offered);
        let (_, protocol) = connect(&tls, &client, "api.example.test").await.unwrap();
        assert_eq!(protocol.as_deref(), agreed);
    }
    let client = authority.client(None, &[]);
    let (one, _) = connect(&tls, &client, "api.example.test").await.unwrap();
    assert_eq!(one.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
    // Also after the certificates were loaded again.
    tls.reload().unwrap();
    let (two, _) = connect(&tls, &client, "api.example.test").await.unwrap();
    assert_eq!(two.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
}

#[tokio::test]
async fn new_files_are_taken_and_bad_ones_leave_the_old() {
    let authority = Authority::new();
    let files = authority.issue("one", &["api.example.test"]);
    let tls = load(std::slice::from_ref(&files));
    let old = certificate(&files);
    assert!(tls.reload_if_changed().is_none());

    fs::write(&files.cert, "half written").unwrap();
    assert!(matches!(tls.reload_if_changed(), Some(Err(TlsError::Absent { .. }))));
    assert!(tls.reload_if_changed().is_none(), "the same bad file is not reported twice");
    assert_eq!(shown(&tls, &authority, "api.example.test").await, old);

    authority.issue("one", &["api.example.test"]);
    assert!(matches!(tls.reload_if_changed(), Some(Ok(()))));
    let new = certificate(&files);
    assert_ne!(new, old);
    assert_eq!(shown(&tls, &authority, "api.example.test").await, new);
}

#[tokio::test]
async fn what_speaks_no_tls_is_refused() {
    let authority = Authority::new();
    let tls = load(&[authority.issue("one", &["api.example.test"])]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut plain = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    assert!(matches!(tls.accept(stream).await, Err(HandshakeError::Failed(_))));
}

#[test]
fn errors_name_the_file_and_the_fault_and_show_no_secret() {
    let authority = Authority::new();
    let good = authority.issue("good", &["api.example.test"]);
    let other = authority.issue("other", &["api.example.test"]);
    let key = fs::read_to_string(&good.key).unwrap();
    let secret = key.lines().nth(1).unwrap();
    let bad = authority.files("bad");
    let refused = |cert: &str, key: &str| {
        fs::write(&bad.cert, cert).unwrap();
        fs::write(&bad.key, key).unwrap();
        let error = ServerTls::load(std::slice::from_ref(&bad), &[]).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(secret), "{shown}");
        shown
    };
    let cert = fs::read_to_string(&good.cert).unwrap();
    let unended = key.replace("-----END", "-----BND");
    let unreadable = format!("notes\n{}", key.replace(secret, &format!("***{secret}")));
    for (cert, key, wanted) in [
        (&*cert, "", "holds no private key"),
        (&*key, &*key, "holds no certificate"),
        (&*cert, &*unended, "bad.key`, line 1: the section that begins here has no END line"),
        (&*cert, &*unreadable, "bad.key`, line 2: the section that begins here is no Base64"),
        (
            &*cert,
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "is encrypted",
        ),
        (
            &*cert,
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "of no supported kind",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            &*key,
            "bad.crt` cannot be used",
        ),
    ] {
        let shown = refused(cert, key);
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    let crossed = TlsFiles { cert: good.cert.clone(), key: other.key.clone() };
    let error = ServerTls::load(&[crossed], &[]).unwrap_err().to_string();
    assert!(error.contains("is not the key of the certificate in"), "{error}");
    let absent = TlsFiles { cert: authority.folder.join("absent"), key: good.key.clone() };
    assert!(matches!(ServerTls::load(&[absent], &[]), Err(TlsError::Unreadable { .. })));
    fs::write(&bad.cert, vec![b'x'; 5 << 20]).unwrap();
    let large = TlsFiles { cert: bad.cert.clone(), key: good.key.clone() };
    assert!(matches!(ServerTls::load(&[large], &[]), Err(TlsError::TooLarge { .. })));
}

#[test]
fn upstream_settings_take_the_public_roots_or_a_file() {
    let authority = Authority::new();
    assert!(ClientTls::load(&ClientTlsOptions::default(), &[b"h2"]).is_ok());
    let client = Some(authority.issue("gateway", &["gateway.test"]));
    let own = ClientTlsOptions { client, ..ClientTlsOptions::default() };
    let own = ClientTls::load(&own, &[]).unwrap();
    assert!(own.config().client_auth_cert_resolver.has_certs());
    for name in ["two words", "", "exa_mple..test"] {
        let options = ClientTlsOptions { server_name: Some(name.into()), ..Default::default() };
        assert!(
            matches!(ClientTls::load(&options, &[]), Err(TlsError::ServerName { .. })),
            "{name}"
        );
    }
}
