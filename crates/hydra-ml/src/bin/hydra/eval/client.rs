//! Who answers: the model in this process, an endpoint, or the cassette alone.

mod schemas;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::{Context, Result, bail};
use hydra_llm::{
    ApiKey, Capabilities, Cassette, CassetteMode, DryRun, KeyScope, LlmClient, Prices, Repeat, Retry, RetryPolicy,
    SystemClock, TokenEstimate,
};
use hydra_lm::{LanguageModel, LmOptions, LocalClient};
use hydra_openai::OpenAiClient;

use crate::progress::Counted;
use schemas::SchemasOrText;

#[derive(clap::Args)]
pub(super) struct ModelArgs {
    /// Bundle of the language model in this process
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with = "llm_url",
        default_value = "target/hydra/smollm2-135m-instruct-int8"
    )]
    lm: PathBuf,

    /// Address of an OpenAI-compatible endpoint, which answers in its place
    #[arg(long, value_name = "URL", requires = "llm_model")]
    llm_url: Option<String>,

    /// Model of the endpoint; with --replay alone, the model that was recorded
    #[arg(long, value_name = "NAME")]
    llm_model: Option<String>,

    /// Environment variable that holds the endpoint's key
    #[arg(long, value_name = "VARIABLE", requires = "llm_url")]
    llm_key_env: Option<String>,

    /// File of recorded answers; it grows by what it lacks
    #[arg(long, value_name = "FILE", required_unless_present = "dry_run")]
    cassette: Option<PathBuf>,

    /// Ask nothing: what the cassette lacks is an error
    #[arg(long, requires = "cassette")]
    replay: bool,
}

/// A model, and the cassette before it.
pub(super) struct Model {
    client: Arc<dyn LlmClient>,
    /// Whether it may give fewer answers than it is asked for, as endpoints do.
    repeats: bool,
    cassette: Option<PathBuf>,
    replay: bool,
}

impl ModelArgs {
    pub(super) fn cassette(&self) -> Option<&PathBuf> {
        self.cassette.as_ref()
    }

    pub(super) fn open(&self) -> Result<Model> {
        let client: Arc<dyn LlmClient> = match (&self.llm_url, &self.llm_model) {
            // What is only replayed needs a model's name and no model.
            (_, Some(name)) if self.replay => Arc::new(silent(all_capabilities(name))),
            (Some(url), Some(name)) => self.endpoint(url, name)?,
            (None, Some(_)) => bail!("--llm-model names the model of an endpoint: add --llm-url, or --replay"),
            _ => {
                let model = LanguageModel::open(&self.lm, &LmOptions::default())
                    .context("cannot open the language model: `cargo xtask export-onnx --lm .hydra/llm/model.gguf --precision int8` makes it, or name an endpoint with --llm-url")?;
                Arc::new(LocalClient::new(model)?)
            }
        };
        let repeats = self.llm_model.is_some();
        Ok(Model { client, repeats, cassette: self.cassette.clone(), replay: self.replay })
    }

    fn endpoint(&self, url: &str, name: &str) -> Result<Arc<dyn LlmClient>> {
        let mut builder = OpenAiClient::builder(url, name);
        if let Some(variable) = &self.llm_key_env {
            let key = std::env::var(variable).with_context(|| format!("the environment has no usable {variable}"))?;
            builder = builder.api_key(ApiKey::new(key)?);
        }
        let client = SchemasOrText::new(builder.build()?);
        Ok(Arc::new(Retry::new(client, RetryPolicy::default(), SystemClock)))
    }
}

impl Model {
    pub(super) fn capabilities(&self) -> Capabilities {
        self.client.capabilities()
    }

    /// Recorded answers, then the model; and how often the model itself was asked.
    pub(super) fn recorded(&self) -> Result<(Arc<dyn LlmClient>, Arc<AtomicU64>)> {
        let (client, asked) = Counted::new(Arc::clone(&self.client));
        let mode = if self.replay { CassetteMode::Replay } else { CassetteMode::Record };
        let cassette = self.cassette.as_ref().context("answers have no place: name a file with --cassette")?;
        let cassette = Cassette::open(client, cassette, mode, KeyScope::User)?;
        Ok((self.repeated(cassette), asked))
    }

    /// What there is in the cassette, if there is one, then `client` in the place of the model.
    pub(super) fn as_if(&self, client: Arc<dyn LlmClient>) -> Result<Arc<dyn LlmClient>> {
        match self.cassette.as_ref().filter(|file| file.exists()) {
            Some(file) => Ok(self.repeated(Cassette::open(client, file, CassetteMode::PassThrough, KeyScope::User)?)),
            None => Ok(self.repeated(client)),
        }
    }

    /// Each draw is recorded for itself.
    fn repeated(&self, client: impl LlmClient + 'static) -> Arc<dyn LlmClient> {
        if self.repeats { Arc::new(Repeat::new(client, DRAWS_AT_ONCE)) } else { Arc::new(client) }
    }
}

fn all_capabilities(name: &str) -> Capabilities {
    let mut capabilities = Capabilities::new(name);
    capabilities.max_n = 128;
    capabilities.json_schema = true;
    capabilities
}

fn silent(capabilities: Capabilities) -> DryRun {
    DryRun::new(capabilities, Prices::default(), TokenEstimate::default())
}

/// How many further draws of a request are under way together, where an endpoint gives one at a time.
const DRAWS_AT_ONCE: usize = 4;
