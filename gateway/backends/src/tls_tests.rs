//! A server that asks for certificates, on loopback, with certificates made here.

use std::io::Write;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tollgate_config::BackendConfig;
use tollgate_credentials::Credentials;

use super::*;
use crate::backend::Backend;
use crate::call::{BackendClient, CallError};
use crate::sent::Sent;

/// An authority, a server that it signed, and files for a client.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Test authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, folder: TempDir::new().unwrap() };
        authority.write("ca.pem", &authority.issuer.pem());
        authority
    }

    fn write(&self, name: &str, text: &str) {
        let mut file = std::fs::File::create(self.folder.path().join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn sign(&self, name: &str) -> (String, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key)
    }

    /// Writes a client's certificate and key.
    fn client(&self) {
        let (certificate, key) = self.sign("gateway");
        self.write("client.pem", &certificate);
        self.write("client.key", &key.serialize_pem());
    }

    /// A server for `localhost` that serves only who shows a certificate of `clients`.
    async fn serve(&self, clients: &Self) -> SocketAddr {
        let (certificate, key) = self.sign("localhost");
        let mut trusted = RootCertStore::empty();
        trusted.add(clients.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), Arc::clone(&provider)).build();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.unwrap())
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
            )
            .unwrap();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        actix_rt::spawn(accept(listener, TlsAcceptor::from(Arc::new(config))));
        addr
    }
}

async fn accept(listener: tokio::net::TcpListener, acceptor: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        let Ok(stream) = acceptor.accept(stream).await else { continue };
        let answer = service_fn(|_: Request<hyper::body::Incoming>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from_static(b"{}"))))
        });
        actix_rt::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer),
        );
    }
}

fn backend(addr: SocketAddr, tls: &str) -> Backend {
    let yaml = format!(
        "{{ format: openai, url: 'https://localhost:{}/v1', serves_responses: true, tls: {tls} }}",
        addr.port()
    );
    let config: BackendConfig = tollgate_settings::load::parse_yaml("t.yaml".as_ref(), &yaml).unwrap();
    let tls = Some(Arc::new(BackendTls::resolve(&config.tls).unwrap()));
    Backend::resolve(&"b".into(), &config, Arc::new(Credentials::anonymous()), tls).unwrap()
}

async fn call(caller: &BackendClient, backend: &Backend) -> Result<StatusCode, CallError> {
    let uri = backend.responses_url.as_deref().unwrap_or_default().parse().unwrap();
    let answer =
        caller.post(backend, &uri, http::HeaderMap::new(), Bytes::from_static(b"{}"), &Sent::default()).await;
    answer.map(|response| response.status())
}

#[actix_rt::test]
async fn a_backend_is_shown_the_gateways_certificate_and_another_is_not() {
    let authority = Authority::new();
    authority.client();
    let addr = authority.serve(&authority).await;
    let (ca, cert, key) =
        (authority.path("ca.pem"), authority.path("client.pem"), authority.path("client.key"));
    let pair = format!(
        "{{ ca: {ca}, client_certificate: {{ certificate: '${{secret:file:{cert}}}', key: '${{secret:file:{key}}}' }} }}"
    );
    let caller = BackendClient::new(client_config().unwrap());
    assert_eq!(call(&caller, &backend(addr, &pair)).await.unwrap(), StatusCode::OK);
    // The same caller, right after: a connection made with the certificate is not used for others.
    let bare = backend(addr, &format!("{{ ca: {ca} }}"));
    assert!(call(&caller, &bare).await.is_err());
}

#[test]
fn settings_that_mean_the_same_share_connections() {
    let authority = Authority::new();
    let config = BackendTlsConfig { ca: Some(authority.path("ca.pem").into()), ..Default::default() };
    let resolved = || Arc::new(BackendTls::resolve(&config).unwrap());
    let first = resolved();
    let mut own = OwnTls::of(&first);
    let second = resolved();
    assert!(own.is_same(&first) && own.is_same(&second));
    drop(first);
    assert!(!own.is_abandoned(), "it lives as long as the settings that were found again");
    authority.write("ca.pem", &std::fs::read_to_string(Authority::new().path("ca.pem")).unwrap());
    assert!(!own.is_same(&resolved()), "another authority in the same file");
}

#[actix_rt::test]
async fn a_certificate_of_a_strange_authority_is_refused_on_both_sides() {
    let (own, strange) = (Authority::new(), Authority::new());
    strange.client();
    let addr = own.serve(&own).await;
    let (cert, key) = (strange.path("client.pem"), strange.path("client.key"));
    let pair = format!(
        "client_certificate: {{ certificate: '${{secret:file:{cert}}}', key: '${{secret:file:{key}}}' }}"
    );
    let caller = BackendClient::new(client_config().unwrap());
    let refused = backend(addr, &format!("{{ ca: {}, {pair} }}", own.path("ca.pem")));
    assert!(call(&caller, &refused).await.is_err());
    let distrusted = backend(addr, &format!("{{ ca: {}, {pair} }}", strange.path("ca.pem")));
    assert!(matches!(call(&caller, &distrusted).await, Err(CallError::Connect(_))));
    let unknown = backend(addr, &format!("{{ {pair} }}"));
    assert!(matches!(call(&caller, &unknown).await, Err(CallError::Connect(_))));
}

#[test]
fn unusable_files_are_told_apart_without_repeating_them() {
    let authority = Authority::new();
    authority.client();
    authority.write("other.key", &KeyPair::generate().unwrap().serialize_pem());
    authority.write("text.pem", "s3cret");
    let (ca, cert, key) =
        (authority.path("ca.pem"), authority.path("client.pem"), authority.path("client.key"));
    let (other, text) = (authority.path("other.key"), authority.path("text.pem"));
    for (ca, cert, key, field) in [
        (&text, &cert, &key, "ca"),
        (&"/no/such/ca.pem".to_owned(), &cert, &key, "ca"),
        (&ca, &text, &key, "client_certificate.certificate"),
        (&ca, &cert, &text, "client_certificate.key"),
        (&ca, &cert, &other, "client_certificate"),
        (&ca, &"/no/such.pem".to_owned(), &key, "client_certificate"),
    ] {
        let config = BackendTlsConfig {
            ca: Some(ca.into()),
            client_certificate: Some(ClientCertificateConfig {
                certificate: format!("${{secret:file:{cert}}}").parse().unwrap(),
                key: format!("${{secret:file:{key}}}").parse().unwrap(),
            }),
        };
        let error = BackendTls::resolve(&config).unwrap_err();
        assert_eq!(error.field(), field, "{error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
}

#[test]
fn tls_settings_need_an_https_url() {
    let config = BackendTlsConfig { ca: Some("/no/such.pem".into()), ..BackendTlsConfig::default() };
    let mistakes = config.mistakes("http://h/v1");
    assert!(mistakes.to_string().starts_with("ca: needs an https url"), "{mistakes}");
    assert!(BackendTlsConfig::default().mistakes("http://h/v1").0.is_empty());
}
