//! Who answers: the model in this process, an endpoint, or the cassette alone.

mod refusals;
mod schemas;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::{Context, Result, ensure};
use hydra_llm::{
    ApiKey, Capabilities, Cassette, CassetteError, CassetteMode, DryRun, KeyScope, LlmClient, LlmError, Prices, Repeat,
    Retry, RetryPolicy, SystemClock, TokenEstimate,
};
use hydra_lm::{LanguageModel, LmOptions, LocalClient};
use hydra_ml::experiment::ExperimentError;
use hydra_openai::OpenAiClient;

use crate::progress::Counted;
use crate::recorded;
use refusals::Refusals;
use schemas::SchemasOrText;

#[derive(clap::Args)]
pub(super) struct ModelArgs {
    /// Bundle of the language model in this process; where a model is needed and none is named,
    /// target/hydra/smollm2-135m-instruct-int8
    #[arg(long, value_name = "DIR", conflicts_with = "llm_url")]
    lm: Option<PathBuf>,

    /// Address of an OpenAI-compatible endpoint, which answers in its place
    #[arg(long, value_name = "URL", requires = "llm_model")]
    llm_url: Option<String>,

    /// Model of the endpoint; without --llm-url, the model that was recorded
    #[arg(long, value_name = "NAME")]
    llm_model: Option<String>,

    /// Environment variable that holds the endpoint's key
    #[arg(long, value_name = "VARIABLE", requires = "llm_url")]
    llm_key_env: Option<String>,

    /// File of recorded answers. With --lm or --llm-url it grows by what it lacks; without, nothing is asked. If it is left
    /// out: target/hydra/eval/TASK.cassette, or what the repository holds where that is what would be asked
    #[arg(long, value_name = "FILE")]
    cassette: Option<PathBuf>,

    /// Ask nothing: what the cassette lacks is an error
    #[arg(long)]
    pub(super) replay: bool,
}

/// What holds where no option says otherwise.
pub(super) struct Defaults<'d> {
    /// The folder of the checkout.
    pub(super) root: &'d Path,
    /// What the task's cassette is called.
    pub(super) stem: String,
    /// Whether the cassette in the repository has the answers to what would be asked.
    pub(super) as_recorded: bool,
}

/// A model, and the cassette before it.
pub(super) struct Model {
    client: Arc<dyn LlmClient>,
    /// Whether it may give fewer answers than it is asked for.
    is_endpoint: bool,
    /// The bundle of a model in this process.
    bundle: Option<PathBuf>,
    cassette: PathBuf,
    mode: CassetteMode,
}

impl ModelArgs {
    pub(super) fn open(&self, defaults: &Defaults<'_>) -> Result<Model> {
        let (cassette, mode) = self.recording(defaults);
        if mode == CassetteMode::Record {
            ensure!(
                !lies_in_fixtures(&cassette),
                "answers are not recorded among the fixtures of a checkout: name another --cassette, or add --replay: {}",
                cassette.display()
            );
        }
        let bundle = match (mode, &self.lm) {
            (CassetteMode::PassThrough, _) => Some(defaults.root.join(recorded::LANGUAGE_MODEL)),
            (CassetteMode::Record, None) if self.llm_url.is_none() => Some(defaults.root.join(INT8_MODEL)),
            (_, named) => named.clone(),
        };
        let client: Arc<dyn LlmClient> = match (&bundle, &self.llm_url, &self.llm_model) {
            (Some(bundle), ..) => {
                let model = LanguageModel::open(bundle, &LmOptions::default())
                    .context("cannot open the language model: `cargo xtask export-onnx --lm .hydra/llm/model.gguf --precision int8` makes it, or name an endpoint with --llm-url")?;
                Arc::new(LocalClient::new(model)?)
            }
            (None, Some(url), Some(name)) if mode == CassetteMode::Record => self.endpoint(url, name)?,
            // What is only replayed needs a model's name and no model.
            (None, _, name) => Arc::new(silent(name.as_deref().unwrap_or(recorded::MODEL_NAME))),
        };
        Ok(Model { client, is_endpoint: self.llm_model.is_some(), bundle, cassette, mode })
    }

    /// Where answers are, and whether the file may grow.
    fn recording(&self, defaults: &Defaults<'_>) -> (PathBuf, CassetteMode) {
        let answers = self.lm.is_some() || self.llm_url.is_some();
        let named = answers || self.llm_model.is_some();
        match &self.cassette {
            None if defaults.as_recorded && !named => {
                // Another processor rounds otherwise, and a reranker so shows other records: then the model is there to answer.
                let has_model = !self.replay && defaults.root.join(recorded::LANGUAGE_MODEL).exists();
                let mode = if has_model { CassetteMode::PassThrough } else { CassetteMode::Replay };
                (defaults.root.join(recorded::CASSETTE), mode)
            }
            given => {
                let file = defaults.root.join("target/hydra/eval").join(format!("{}.cassette", defaults.stem));
                let grows = answers || (given.is_none() && !named);
                let mode = if grows && !self.replay { CassetteMode::Record } else { CassetteMode::Replay };
                (given.clone().unwrap_or(file), mode)
            }
        }
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
    #[cfg(test)]
    pub(super) fn of_an_endpoint(cassette: PathBuf) -> Self {
        let client = Arc::new(silent("a-model"));
        Self { client, is_endpoint: true, bundle: None, cassette, mode: CassetteMode::Record }
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        self.client.capabilities()
    }

    pub(super) fn is_endpoint(&self) -> bool {
        self.is_endpoint
    }

    pub(super) fn bundle(&self) -> Option<&Path> {
        self.bundle.as_deref()
    }

    pub(super) fn cassette(&self) -> &Path {
        &self.cassette
    }

    /// Where answers come from and go, in words.
    pub(super) fn place(&self) -> String {
        let file = self.cassette.display();
        match self.mode {
            CassetteMode::Replay => format!("answers are those of {file}; nothing is asked"),
            CassetteMode::PassThrough => format!("answers are those of {file}; the model is asked for what it lacks"),
            CassetteMode::Record => format!("answers are recorded in {file}"),
        }
    }

    /// Recorded answers, then the model; and how often the model itself was asked.
    pub(super) fn recorded(&self) -> Result<(Arc<dyn LlmClient>, Arc<AtomicU64>)> {
        let (client, asked) = Counted::new(Arc::clone(&self.client));
        if let (CassetteMode::Record, Some(folder)) = (self.mode, self.cassette.parent()) {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let cassette = Cassette::open(Refusals::new(client), &self.cassette, self.mode, KeyScope::User)?;
        Ok((repeated(cassette), asked))
    }

    /// What there is in the cassette, if there is one, then `client` in the place of the model.
    pub(super) fn as_if(&self, client: impl LlmClient + 'static) -> Result<Arc<dyn LlmClient>> {
        if !self.cassette.exists() {
            return Ok(repeated(client));
        }
        Ok(repeated(Cassette::open(client, &self.cassette, CassetteMode::PassThrough, KeyScope::User)?))
    }

    /// The error, and what to do where the cassette did not have all answers.
    pub(super) fn explained(&self, error: ExperimentError) -> anyhow::Error {
        let missed = matches!(error, ExperimentError::Llm(LlmError::Cassette(CassetteError::NotRecorded { .. })));
        let error = anyhow::Error::from(error);
        if !missed {
            return error;
        }
        error.context(format!(
            "the cassette lacks answers: give the options that it was recorded with, --llm-model among them, or a model that answers the rest, by --lm or --llm-url: {}",
            self.cassette.display()
        ))
    }
}

/// Each draw is recorded for itself.
fn repeated(client: impl LlmClient + 'static) -> Arc<dyn LlmClient> {
    Arc::new(Repeat::new(client, DRAWS_AT_ONCE))
}

fn silent(name: &str) -> DryRun {
    let mut capabilities = Capabilities::new(name);
    capabilities.max_n = 128;
    capabilities.json_schema = true;
    DryRun::new(capabilities, Prices::default(), TokenEstimate::default())
}

/// Whether a folder on the way to the file is called so: what lies there is committed.
fn lies_in_fixtures(file: &Path) -> bool {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder.components().any(|part| part.as_os_str() == "fixtures")
}

/// How many further draws of a request are under way together, where an endpoint gives one at a time.
const DRAWS_AT_ONCE: usize = 4;
/// From the root of the checkout.
const INT8_MODEL: &str = "target/hydra/smollm2-135m-instruct-int8";

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> ModelArgs {
        ModelArgs { lm: None, llm_url: None, llm_model: None, llm_key_env: None, cassette: None, replay: false }
    }

    fn defaults(root: &Path, as_recorded: bool) -> Defaults<'_> {
        Defaults { root, stem: "meals".to_owned(), as_recorded }
    }

    #[test]
    fn a_cassette_grows_only_where_a_model_answers() {
        use CassetteMode::{PassThrough, Record, Replay};
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let (own, committed) = (root.join("target/hydra/eval/meals.cassette"), root.join(recorded::CASSETTE));
        let some = |name: &str| Some(name.to_owned());
        let given = || ModelArgs { cassette: Some("a.cassette".into()), ..args() };
        let endpoint = || ModelArgs { llm_url: some("http://h"), llm_model: some("m"), ..args() };
        for (args, as_recorded, expected) in [
            (args(), true, (committed.clone(), Replay)),
            (args(), false, (own.clone(), Record)),
            (endpoint(), true, (own.clone(), Record)),
            (ModelArgs { lm: Some("lm".into()), ..args() }, true, (own.clone(), Record)),
            (ModelArgs { llm_model: some("m"), ..args() }, false, (own.clone(), Replay)),
            (ModelArgs { replay: true, ..endpoint() }, false, (own.clone(), Replay)),
            (given(), true, ("a.cassette".into(), Replay)),
            (given(), false, ("a.cassette".into(), Replay)),
            (ModelArgs { lm: Some("lm".into()), ..given() }, false, ("a.cassette".into(), Record)),
        ] {
            assert_eq!(args.recording(&defaults(root, as_recorded)), expected);
        }
        std::fs::create_dir_all(root.join(recorded::LANGUAGE_MODEL)).unwrap();
        assert_eq!(args().recording(&defaults(root, true)), (committed.clone(), PassThrough));
        let replay = ModelArgs { replay: true, ..args() };
        assert_eq!(replay.recording(&defaults(root, true)), (committed, Replay));
    }

    #[test]
    fn nothing_is_recorded_among_fixtures() {
        let root = tempfile::tempdir().unwrap();
        let cassette = Some(root.path().join("fixtures/movielens/answers.cassette"));
        std::fs::create_dir_all(cassette.as_ref().unwrap().parent().unwrap()).unwrap();
        let endpoint = ModelArgs { llm_url: Some("http://h".into()), llm_model: Some("m".into()), cassette, ..args() };
        let Err(error) = endpoint.open(&defaults(root.path(), true)) else { panic!("it would be recorded on") };
        assert!(error.to_string().contains("name another --cassette"), "{error}");
        let replay = ModelArgs { replay: true, ..endpoint };
        assert_eq!(replay.open(&defaults(root.path(), true)).unwrap().capabilities().model, "m");
    }
}
