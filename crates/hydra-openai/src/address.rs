//! Where the endpoint is.

use reqwest::Url;

use crate::BuildError;

/// The address that paths are appended to.
#[derive(Clone)]
pub(crate) struct Address {
    base: Url,
}

impl Address {
    /// Reads an address as people write it: with or without `/v1`, a slash at the end, or the whole path of a call.
    pub(crate) fn new(text: &str) -> Result<Self, BuildError> {
        let mut address = Self::exact(text)?;
        let mut path = address.base.path().trim_end_matches('/').to_owned();
        for call in ["/chat/completions", "/embeddings", "/completions", "/rerank"] {
            if let Some(before) = path.strip_suffix(call) {
                path.truncate(before.len());
            }
        }
        if !path.split('/').any(is_version) {
            path.push_str("/v1");
        }
        address.base.set_path(&path);
        Ok(address)
    }

    /// Takes an address as it is.
    pub(crate) fn exact(text: &str) -> Result<Self, BuildError> {
        let base = Url::parse(text.trim()).map_err(|_| BuildError::Address)?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(BuildError::Address);
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(BuildError::Credentials);
        }
        Ok(Self { base })
    }

    /// The address of a call: `chat/completions`.
    pub(crate) fn call(&self, name: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{name}", self.base.path().trim_end_matches('/')));
        url
    }

    /// The same call without the version before it, where that makes a difference.
    pub(crate) fn call_without_version(&self, name: &str) -> Option<Url> {
        let path = self.base.path().trim_end_matches('/');
        let (before, last) = path.rsplit_once('/')?;
        is_version(last).then(|| {
            let mut url = self.base.clone();
            url.set_path(&format!("{before}/{name}"));
            url
        })
    }
}

/// `v1`, `v3`, `v1beta`.
fn is_version(segment: &str) -> bool {
    let mut chars = segment.chars();
    chars.next() == Some('v') && chars.next().is_some_and(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each form was a failed call in somebody's hands: nearai/ironclaw#1934, nbramia/LifeOS#706, AVIDS2/memorix#240,
    /// chroma-core/chroma#1709.
    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, expected) in [
            ("http://localhost:8080", "http://localhost:8080/v1/chat/completions"),
            ("http://localhost:8080/", "http://localhost:8080/v1/chat/completions"),
            (" http://localhost:8080/v1\n", "http://localhost:8080/v1/chat/completions"),
            ("https://api.fireworks.ai/inference/v1/", "https://api.fireworks.ai/inference/v1/chat/completions"),
            ("https://openrouter.ai/api", "https://openrouter.ai/api/v1/chat/completions"),
            ("https://ark.cn-beijing.volces.com/api/v3", "https://ark.cn-beijing.volces.com/api/v3/chat/completions"),
            (
                "https://generativelanguage.googleapis.com/v1beta/openai/",
                "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
            ),
            ("http://localhost/v1/chat/completions", "http://localhost/v1/chat/completions"),
            ("http://h/v1?api-version=2024-02-01", "http://h/v1/chat/completions?api-version=2024-02-01"),
            ("http://[::1]:9/", "http://[::1]:9/v1/chat/completions"),
        ] {
            assert_eq!(Address::new(text).unwrap().call("chat/completions").as_str(), expected, "{text}");
        }
        let azure = "https://x.openai.azure.com/openai/deployments/gpt?api-version=1";
        let call = Address::exact(azure).unwrap().call("chat/completions");
        assert_eq!(call.path(), "/openai/deployments/gpt/chat/completions");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "localhost:8080", "ftp://h/", "/v1", "http://", "file:///v1"] {
            assert!(matches!(Address::new(text), Err(BuildError::Address)), "{text}");
        }
        for text in ["http://user:secret@h/v1", "http://sk-key@h"] {
            assert!(matches!(Address::new(text), Err(BuildError::Credentials)), "{text}");
        }
    }

    #[test]
    fn the_version_can_be_left_out() {
        let without =
            |text: &str| Address::new(text).unwrap().call_without_version("rerank").map(|url| url.path().to_owned());
        assert_eq!(without("http://h").as_deref(), Some("/rerank"));
        assert_eq!(without("http://h/api/v1").as_deref(), Some("/api/rerank"));
        assert_eq!(without("http://h/v1beta/openai"), None);
    }
}
