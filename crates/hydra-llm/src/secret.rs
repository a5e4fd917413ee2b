//! Keys that cannot be shown by accident.

use zeroize::Zeroizing;

/// The key to an endpoint.
///
/// It has no `Debug`, no `Display` and no `Serialize`, so that a struct which holds one cannot derive them, and it is
/// wiped from memory when dropped.
///
/// ```compile_fail,E0277
/// # let key = hydra_llm::ApiKey::new("sk-test")?;
/// println!("{key:?}");
/// # Ok::<(), hydra_llm::ApiKeyError>(())
/// ```
/// ```compile_fail,E0277
/// # let key = hydra_llm::ApiKey::new("sk-test")?;
/// println!("{key}");
/// # Ok::<(), hydra_llm::ApiKeyError>(())
/// ```
/// ```compile_fail,E0277
/// # let key = hydra_llm::ApiKey::new("sk-test")?;
/// serde_json::to_string(&key);
/// # Ok::<(), hydra_llm::ApiKeyError>(())
/// ```
#[derive(Clone)]
pub struct ApiKey(Zeroizing<String>);

impl ApiKey {
    /// A key. Blanks around it, as they come with files and variables, are cut off.
    ///
    /// # Errors
    /// [`ApiKeyError`] if nothing is left, or if it holds something else than visible ASCII.
    pub fn new(key: impl Into<String>) -> Result<Self, ApiKeyError> {
        let given = Zeroizing::new(key.into());
        let key = given.trim();
        if key.is_empty() {
            return Err(ApiKeyError::Empty);
        }
        if !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ApiKeyError::NotVisibleAscii);
        }
        Ok(Self(Zeroizing::new(key.to_owned())))
    }

    /// The key itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `text` without the key, for what a server said and may have quoted.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        text.replace(self.expose(), "[key]")
    }
}

/// A text that cannot be a key. The text itself is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiKeyError {
    /// Nothing is there.
    #[error("the api key is empty: set it, or use the endpoint without a key")]
    Empty,
    /// It cannot stand in a header.
    #[error("the api key holds characters that are not visible ascii: check that it was copied whole")]
    NotVisibleAscii,
}
