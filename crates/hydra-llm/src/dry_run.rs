//! What would it cost?

use std::sync::{Mutex, PoisonError};

use crate::{BoxFuture, Capabilities, Choice, LlmClient, LlmError, Prices, Request, Response, Spend, TokenEstimate};

/// A client that sends nothing and adds up what the calls could cost at most.
///
/// Put it where the real client will stand and run the job: every request is checked as the real client would check
/// it, and answered with empty texts. A job whose later prompts quote earlier answers is estimated too low by those.
///
/// ```
/// use hydra_llm::{Capabilities, DryRun, LlmClient, Message, Money, Prices, Request, TokenEstimate, block_on};
///
/// let prices = Prices { prompt: Money::from_micros(500_000), completion: Money::from_micros(1_500_000), ..Prices::default() };
/// let dry_run = DryRun::new(Capabilities::new("a-model"), prices, TokenEstimate::default());
/// for film in ["Alien", "Big"] {
///     let mut request = Request::new(vec![Message::user(format!("Tag for {film}?"))]);
///     request.max_tokens = Some(4);
///     block_on(dry_run.complete(request))?;
/// }
/// assert_eq!(dry_run.estimate().calls, 2);
/// assert!(dry_run.estimate().cost < Money::from_micros(100));
/// # Ok::<(), hydra_llm::LlmError>(())
/// ```
pub struct DryRun {
    capabilities: Capabilities,
    prices: Prices,
    estimate: TokenEstimate,
    total: Mutex<Spend>,
}

impl DryRun {
    /// In the place of a client with these capabilities.
    #[must_use]
    pub fn new(capabilities: Capabilities, prices: Prices, estimate: TokenEstimate) -> Self {
        Self { capabilities, prices, estimate, total: Mutex::default() }
    }

    /// The most that the calls so far would have cost.
    #[must_use]
    pub fn estimate(&self) -> Spend {
        *self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LlmClient for DryRun {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            self.capabilities.admit(&request)?;
            let usage = self.estimate.most(&request);
            let mut total = self.total.lock().unwrap_or_else(PoisonError::into_inner);
            *total = total.plus(Spend::of_call(usage, &self.prices));
            let choices = (0..request.n).map(|_| Choice::new("")).collect();
            Ok(Response::new(choices, usage))
        })
    }
}
