//! Several answers from a model that gives one at a time.

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::client::whole_as_stream;
use crate::{AnswerFault, BoxFuture, Capabilities, EventStream, LlmClient, LlmError, Request, Response, Usage};

/// A client that gives as many answers as were asked for, by asking as often as it takes: because the inner client
/// gives only one, or because its server ignores how many it was asked for.
///
/// Every further call carries its own [`draw`](Request::draw) and, if the request has a seed, its own seed, so that a
/// cache or a cassette below keeps the answers apart and a model that honours seeds does not repeat itself. Usage is
/// summed: the prompt is paid for with each call.
pub struct Repeat<C> {
    inner: C,
    at_once: usize,
}

impl<C: LlmClient> Repeat<C> {
    /// `inner`, asked up to `at_once` times at the same moment (0 counts as 1).
    pub fn new(inner: C, at_once: usize) -> Self {
        Self { inner, at_once: at_once.max(1) }
    }

    async fn gather(&self, request: Request) -> Result<Response, LlmError> {
        let wanted = request.n;
        let most = self.inner.capabilities().max_n.max(1);
        // Every round asks for all that is missing; a server that gives one choice however many it is asked for is
        // asked one by one from the second round on.
        let mut per_call = most;
        // Draws and seeds of the second round come after those that the first may have used.
        let mut used = 0;
        let mut gathered: Option<Response> = None;
        loop {
            let have = gathered.as_ref().map_or(0, count);
            if have >= wanted {
                break;
            }
            let calls = (have..wanted).step_by(per_call as usize).map(|from| {
                let mut part = request.clone();
                part.n = per_call.min(wanted - from);
                let draw = u64::from(used + from);
                part.draw = request.draw.wrapping_mul(DRAWS_EACH).wrapping_add(draw);
                part.seed = request.seed.map(|seed| seed.wrapping_add(draw));
                self.inner.complete(part)
            });
            let parts: Vec<Response> = stream::iter(calls).buffered(self.at_once).try_collect().await?;
            for part in parts {
                if part.choices.is_empty() {
                    return Err(AnswerFault::Empty.into());
                }
                match &mut gathered {
                    None => gathered = Some(part),
                    Some(whole) => {
                        whole.choices.extend(part.choices);
                        whole.usage = whole.usage.plus(part.usage);
                    }
                }
            }
            per_call = 1;
            used = wanted;
        }
        let mut whole = gathered.unwrap_or_else(|| Response::new(Vec::new(), Usage::default()));
        whole.choices.truncate(wanted as usize);
        Ok(whole)
    }
}

impl<C: LlmClient> LlmClient for Repeat<C> {
    fn capabilities(&self) -> Capabilities {
        Capabilities { max_n: u32::MAX, ..self.inner.capabilities() }
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            self.capabilities().admit(&request)?;
            self.gather(request).await
        })
    }

    /// One answer streams as the inner client streams it; several come when all are there.
    fn stream(&self, request: Request) -> EventStream<'_> {
        if request.n == 1 {
            return self.inner.stream(request);
        }
        whole_as_stream(self.complete(request))
    }
}

/// A request has at most 1024 answers, gathered in two rounds, so the draws of two requests never meet.
const DRAWS_EACH: u64 = 2048;

fn count(response: &Response) -> u32 {
    u32::try_from(response.choices.len()).unwrap_or(u32::MAX)
}
