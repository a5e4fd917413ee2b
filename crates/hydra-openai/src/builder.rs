//! How a client is set up.

use std::sync::Arc;
use std::time::Duration;

use hydra_llm::{ApiKey, Capabilities, TokenEstimate};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::OpenAiClient;
use crate::address::Address;
use crate::transport::{Limits, Transport, new_http};

/// What a client is made from. Got from [`OpenAiClient::builder`].
///
/// Defaults: no key; 10 seconds to connect; 2 minutes of silence; 10 minutes for a call whose request sets no deadline;
/// answers of up to 32 MiB; the proxy that the system names; all capabilities but a known context length.
#[must_use]
pub struct OpenAiBuilder {
    address: Result<Address, BuildError>,
    key: Option<ApiKey>,
    headers: Vec<(String, String)>,
    proxy: ProxyChoice,
    roots: Vec<Vec<u8>>,
    connect: Duration,
    limits: Limits,
    dialect: Dialect,
    capabilities: Capabilities,
}

/// By which proxy the endpoint is reached.
#[derive(Clone, PartialEq, Eq)]
enum ProxyChoice {
    System,
    Direct,
    Url(String),
}

/// What an endpoint wants to be called how.
#[derive(Clone)]
pub(crate) struct Dialect {
    pub(crate) token_limit: TokenLimitField,
    pub(crate) ask_stream_usage: bool,
    pub(crate) pseudonym: Option<Arc<[u8]>>,
    pub(crate) estimate: TokenEstimate,
}

/// Under which name the greatest number of tokens is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenLimitField {
    /// `max_tokens`: what most servers know.
    MaxTokens,
    /// `max_completion_tokens`: what OpenAI's reasoning models insist on.
    MaxCompletionTokens,
}

impl OpenAiBuilder {
    pub(crate) fn new(address: &str, model: String) -> Self {
        let mut capabilities = Capabilities::new(model);
        capabilities.max_n = 128;
        capabilities.logprobs = true;
        capabilities.seed = true;
        capabilities.json_object = true;
        capabilities.json_schema = true;
        capabilities.streaming = true;
        Self {
            address: Address::new(address),
            key: None,
            headers: Vec::new(),
            proxy: ProxyChoice::System,
            roots: Vec::new(),
            connect: Duration::from_secs(10),
            limits: Limits {
                silence: Duration::from_secs(120),
                call: Duration::from_secs(600),
                answer_bytes: 32 << 20,
            },
            dialect: Dialect {
                token_limit: TokenLimitField::MaxTokens,
                ask_stream_usage: true,
                pseudonym: None,
                estimate: TokenEstimate::default(),
            },
            capabilities,
        }
    }

    /// Takes `address` as it is, without adding `/v1` or cutting anything off.
    pub fn exact_address(mut self, address: &str) -> Self {
        self.address = Address::exact(address);
        self
    }

    /// Sends `key` as a bearer token.
    pub fn api_key(mut self, key: ApiKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Sends a header with every call. Its value is kept out of all output, as the key is.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Goes through this proxy: `http://host:port`, with credentials if it wants some.
    pub fn proxy(mut self, url: &str) -> Self {
        self.proxy = ProxyChoice::Url(url.to_owned());
        self
    }

    /// Goes through no proxy, whatever the system says.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = ProxyChoice::Direct;
        self
    }

    /// Trusts further root certificates, one or more in PEM, beside Mozilla's list.
    pub fn root_certificate_pem(mut self, pem: &[u8]) -> Self {
        self.roots.push(pem.to_vec());
        self
    }

    /// How long connecting may take.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect = limit;
        self
    }

    /// How long the server may say nothing in the middle of a call.
    pub fn silence_timeout(mut self, limit: Duration) -> Self {
        self.limits.silence = limit;
        self
    }

    /// How long a call may take in all, if its request sets no deadline.
    pub fn call_timeout(mut self, limit: Duration) -> Self {
        self.limits.call = limit;
        self
    }

    /// The most bytes of an answer, and of one event of a stream.
    pub fn max_answer_bytes(mut self, bytes: usize) -> Self {
        self.limits.answer_bytes = bytes;
        self
    }

    /// Under which name the token limit is sent.
    pub fn token_limit_field(mut self, field: TokenLimitField) -> Self {
        self.dialect.token_limit = field;
        self
    }

    /// Does not ask for usage at the end of streams (`stream_options`), for servers that refuse the question.
    pub fn without_stream_usage(mut self) -> Self {
        self.dialect.ask_stream_usage = false;
        self
    }

    /// Sends a pseudonym of the request's user in the field `user`: the first 32 digits of SHA-256 over `salt` and the
    /// id. Without this nothing about users is sent.
    pub fn user_pseudonym(mut self, salt: &[u8]) -> Self {
        self.dialect.pseudonym = Some(salt.into());
        self
    }

    /// How tokens are guessed when the server does not count them.
    pub fn token_estimate(mut self, estimate: TokenEstimate) -> Self {
        self.dialect.estimate = estimate;
        self
    }

    /// What the model can do, where that is less than everything. The model's name in it is the one that is asked for.
    pub fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Makes the client. Nothing is sent.
    ///
    /// # Errors
    /// [`BuildError`] if the address, a header, the proxy or a certificate cannot be used.
    pub fn build(self) -> Result<OpenAiClient, BuildError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().map_err(|_| BuildError::Header)?;
            let mut value: HeaderValue = value.parse().map_err(|_| BuildError::Header)?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        if let Some(key) = &self.key {
            let bearer = format!("Bearer {}", key.expose());
            let mut value: HeaderValue = bearer.parse().map_err(|_| BuildError::Header)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut http = new_http(self.connect, self.limits.silence).default_headers(headers);
        http = match &self.proxy {
            ProxyChoice::System => http,
            ProxyChoice::Direct => http.no_proxy(),
            ProxyChoice::Url(url) => http.proxy(reqwest::Proxy::all(url).map_err(|_| BuildError::Proxy)?),
        };
        for pem in &self.roots {
            let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(|_| BuildError::Certificate)?;
            if certificates.is_empty() {
                return Err(BuildError::Certificate);
            }
            http = certificates.into_iter().fold(http, reqwest::ClientBuilder::add_root_certificate);
        }
        let http = http.build().map_err(|_| BuildError::Certificate)?;
        Ok(OpenAiClient::from_parts(
            Transport::new(http, self.key, self.limits, self.connect),
            self.address?,
            self.dialect,
            self.capabilities,
        ))
    }
}

/// Why there is no client. What was given is not shown: it may hold a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// It is no address.
    #[error("the address is not usable: write http:// or https://, the host, and the path if there is one")]
    Address,
    /// It holds a name or a password, which would end up in logs.
    #[error("the address holds credentials: take them out and give the key with `api_key`")]
    Credentials,
    /// It cannot stand in a request.
    #[error("a header is not usable: names are letters, digits and dashes, values visible ascii")]
    Header,
    /// It is no address.
    #[error("the proxy is not usable: write http:// or https://, the host and the port")]
    Proxy,
    /// It is no certificate.
    #[error("a root certificate is not usable: give it in pem")]
    Certificate,
}
