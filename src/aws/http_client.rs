//! The HTTP client of every request that leaves the function: hyper, with rustls over ring.
//!
//! The SDK's own default would be the same over aws-lc, whose C takes a twelfth of the build. What ring has not is
//! the exchange of keys that resists quantum computers (X25519MLKEM768); SECURITY.md says what that means. Requests
//! to AWS go by way of the proxies that `HTTPS_PROXY` and its companions name, as the default's would.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// A client for the SDK's requests to `endpoint`, or to AWS's own. For a server without TLS no root certificates are
/// loaded.
pub fn http_client(endpoint: Option<&str>) -> SharedHttpClient {
    if endpoint.is_some_and(is_plain) {
        return Builder::new().build_http();
    }
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder().tls_provider(tls()).proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.build()
    })
}

/// A connector for one's own requests to `server`, a URL, by way of `proxies`; it keeps connections.
pub fn connector(server: &str, proxies: ProxyConfig) -> Connector {
    let builder = Connector::builder().proxy_config(proxies);
    match is_plain(server) {
        true => builder.build_http(),
        false => builder.tls_provider(tls()).build(),
    }
}

fn is_plain(url: &str) -> bool {
    url.starts_with("http://")
}

fn tls() -> Provider {
    Provider::Rustls(CryptoMode::Ring)
}
