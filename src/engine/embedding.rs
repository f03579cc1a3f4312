//! Cut documents → vectors: calls to the embedder in the order that [`TextQueue`] says, given up once nobody wants them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::build::Step;
use super::prepare::{Cut, Workshop};
use super::queue::{Key, Part, TextQueue};
use super::{PrepareError, Ticket};
use crate::domain::StageName;
use crate::embed::{EmbedError, Embedded, Purpose};
use crate::index::IndexSpec;
use crate::telemetry;

/// Calls for small documents under way at once.
const SMALL_CALLS: usize = 4;
/// Calls for large documents under way at once: the second keeps the embedder busy while the first is taken in. The
/// embedder takes turns call by call, so this also bounds what a small document waits.
const LARGE_CALLS: usize = 2;
/// How often documents that wait are looked at whether they still are wanted.
const LOOKED_EVERY: Duration = Duration::from_millis(100);
/// Pauses before a provider that does not answer is asked again; the last repeats. A provider's own attempts, with their
/// pauses, are within each. Short enough that a document is found within a minute of the provider's return.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(15),
];
/// Failures after which a document is tried by itself and no longer with those that failed beside it.
const FAILED_TOGETHER: usize = 2;
/// Attempts at a provider that answers what are no vectors: a gateway that is restarted may say anything for a moment, a
/// model of another size says it for ever.
const INVALID_BORNE: usize = 4;
/// Failures of a document beside which others were given their vectors: then it is not the provider that fails.
const ALONE_BORNE: usize = 8;

/// A cut document, and its place among those that are held in memory.
pub(super) struct Held {
    pub ticket: Ticket,
    pub cut: Cut,
    #[expect(dead_code, reason = "held, not read")]
    pub place: OwnedSemaphorePermit,
}

/// A document that is being given its vectors.
struct Document {
    held: Held,
    /// Texts without a vector.
    left: usize,
    model_tokens: u64,
    failures: Failures,
}

/// How often a document's calls failed in a row.
#[derive(Debug, Default)]
struct Failures {
    since: Option<Instant>,
    count: usize,
    invalid: usize,
    /// Those since whose predecessor others were given vectors.
    alone: usize,
    /// Calls that had succeeded, all documents', at the last of them.
    successes: u64,
}

impl Failures {
    /// Notes a failure; the pause before the next attempt, none when that is not worth it.
    fn note(&mut self, error: &EmbedError, successes: u64, patience: Option<Duration>) -> Option<Duration> {
        self.count += 1;
        self.invalid += usize::from(matches!(error, EmbedError::Invalid { .. }));
        self.alone += usize::from(self.since.is_some() && successes > self.successes);
        self.successes = successes;
        let since = *self.since.get_or_insert_with(Instant::now);
        let passing = error.may_pass() || matches!(error, EmbedError::Invalid { .. });
        let patient = patience.is_some_and(|patience| since.elapsed() < patience);
        let borne = self.invalid < INVALID_BORNE && self.alone < ALONE_BORNE;
        (passing && patient && borne).then(|| PAUSES[(self.count - 1).min(PAUSES.len() - 1)])
    }
}

/// A part of a document that waits for its next attempt.
struct Resting {
    part: Part,
    until: Instant,
    alone: bool,
}

/// A call to the embedder.
struct Call {
    parts: Vec<Part>,
    tickets: Vec<Ticket>,
    texts: Vec<String>,
}

/// How a call ended; `None` when nobody wanted it any more.
type Ended = (Vec<Part>, Option<Result<Embedded, EmbedError>>);

/// Gives documents their vectors as they come, and sends each that is ready or failed; ends when there are no more, or
/// nobody listens.
pub(super) async fn embed(workshop: &Workshop, mut cuts: mpsc::Receiver<Held>, to: &mpsc::Sender<Step>) {
    let mut embedding = Embedding::default();
    let (mut small, mut large) = (FuturesUnordered::new(), FuturesUnordered::new());
    let mut looks = tokio::time::interval(LOOKED_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut open = true;
    while open || !embedding.documents.is_empty() {
        while small.len() < SMALL_CALLS
            && let Some(call) = embedding.next_small()
        {
            small.push(call.run(workshop));
        }
        while large.len() < LARGE_CALLS
            && let Some(call) = embedding.next_large()
        {
            large.push(call.run(workshop));
        }
        let steps = tokio::select! {
            held = cuts.recv(), if open => {
                open = held.is_some();
                if let Some(held) = held {
                    embedding.add(held);
                }
                Vec::new()
            }
            Some(ended) = small.next() => embedding.take_in(ended, workshop),
            Some(ended) = large.next() => embedding.take_in(ended, workshop),
            _ = looks.tick() => {
                embedding.wake(Instant::now());
                embedding.drop_stopped()
            }
        };
        for step in steps {
            if to.send(step).await.is_err() {
                return;
            }
        }
    }
}

/// Documents on their way, and what of them is embedded next.
#[derive(Default)]
struct Embedding {
    queue: TextQueue,
    documents: BTreeMap<Key, Document>,
    last: Key,
    resting: Vec<Resting>,
    /// Calls that succeeded.
    successes: u64,
}

impl Embedding {
    fn add(&mut self, held: Held) {
        self.last += 1;
        let texts = held.cut.missing();
        held.ticket.at(StageName::Embed);
        self.queue.add(self.last, texts);
        self.documents
            .insert(self.last, Document { held, left: texts, model_tokens: 0, failures: Failures::default() });
    }

    fn next_small(&mut self) -> Option<Call> {
        let parts = self.queue.take_small();
        (!parts.is_empty()).then(|| self.call(parts))
    }

    fn next_large(&mut self) -> Option<Call> {
        let part = self.queue.take_large()?;
        Some(self.call(vec![part]))
    }

    fn call(&self, parts: Vec<Part>) -> Call {
        let mut call = Call { parts: Vec::new(), tickets: Vec::new(), texts: Vec::new() };
        for part in parts {
            if let Some(document) = self.documents.get(&part.document) {
                call.tickets.push(document.held.ticket.clone());
                call.texts.extend(document.held.cut.some_texts(part.texts.clone()));
                call.parts.push(part);
            }
        }
        call
    }

    /// Takes in what a call brought; returns the documents that came to their end by it.
    fn take_in(&mut self, (parts, outcome): Ended, workshop: &Workshop) -> Vec<Step> {
        match outcome {
            None => self.drop_stopped(),
            Some(Ok(embedded)) => {
                self.successes += 1;
                workshop.say_waiting(None);
                self.fill(&parts, embedded, &workshop.spec)
            }
            // One text that is refused must not fail its neighbours.
            Some(Err(error)) if parts.len() > 1 && !error.may_pass() => {
                for part in parts {
                    self.queue.give_back_alone(part);
                }
                Vec::new()
            }
            Some(Err(error)) => {
                let shared = parts.len() > 1;
                parts.into_iter().filter_map(|part| self.rest(part, shared, &error, workshop)).collect()
            }
        }
    }

    /// Lets a part wait for its next attempt, or gives its document up.
    fn rest(&mut self, part: Part, shared: bool, error: &EmbedError, workshop: &Workshop) -> Option<Step> {
        let document = self.documents.get_mut(&part.document)?;
        let Some(pause) = document.failures.note(error, self.successes, workshop.patience) else {
            return self.fail(part.document, error.clone().into());
        };
        workshop.say_waiting(Some(error.clone()));
        document.held.ticket.wait_for(Some(error.clone()));
        let alone = !shared || document.failures.count > FAILED_TOGETHER;
        self.queue.pause(part.document);
        self.resting.push(Resting { part, until: Instant::now() + pause, alone });
        None
    }

    /// Gives back to the queue what has waited long enough.
    fn wake(&mut self, now: Instant) {
        for Resting { part, alone, .. } in self.resting.extract_if(.., |resting| resting.until <= now) {
            if !self.documents.contains_key(&part.document) {
                continue;
            }
            if alone { self.queue.give_back_alone(part) } else { self.queue.give_back(part) }
        }
    }

    fn fill(&mut self, parts: &[Part], embedded: Embedded, spec: &IndexSpec) -> Vec<Step> {
        let texts = embedded.vectors.len().max(1) as u64;
        let each = embedded.model_tokens / texts;
        // What does not divide is the first part's, so that the sum is what was counted.
        let mut rest = embedded.model_tokens % texts;
        let mut vectors = embedded.vectors.into_iter();
        let mut steps = Vec::new();
        for part in parts {
            let count = part.texts.len();
            let own: Vec<Vec<f32>> = vectors.by_ref().take(count).collect();
            let Some(document) = self.documents.get_mut(&part.document) else { continue };
            document.model_tokens += count as u64 * each + std::mem::take(&mut rest);
            if let Err(error) = document.held.cut.fill(part.texts.clone(), own, spec) {
                steps.extend(self.fail(part.document, error.into()));
                continue;
            }
            document.left -= count;
            document.failures = Failures::default();
            document.held.ticket.wait_for(None);
            document.held.ticket.note(|progress| progress.chunks_embedded += count as u64);
            if document.left == 0 {
                steps.extend(self.end(part.document));
            }
        }
        steps
    }

    fn end(&mut self, key: Key) -> Option<Step> {
        let Document { held, model_tokens, .. } = self.documents.remove(&key)?;
        held.ticket.at(StageName::Index);
        Some((held.ticket, Ok(held.cut.ready(model_tokens))))
    }

    fn fail(&mut self, key: Key, error: PrepareError) -> Option<Step> {
        self.queue.remove(key);
        self.documents.remove(&key).map(|document| (document.held.ticket, Err(error)))
    }

    /// Gives up the documents that are not wanted any more, with their memory.
    fn drop_stopped(&mut self) -> Vec<Step> {
        let stopped = self.documents.iter().filter(|(_, document)| document.held.ticket.is_stopped());
        let stopped: Vec<Key> = stopped.map(|(key, _)| *key).collect();
        stopped.into_iter().filter_map(|key| self.fail(key, PrepareError::Stopped)).collect()
    }
}

impl Call {
    /// Makes the call; given up as soon as none of its documents is wanted.
    async fn run(self, workshop: &Workshop) -> Ended {
        let asked = Instant::now();
        let unwanted = join_all(self.tickets.iter().map(Ticket::stopped));
        let outcome = tokio::select! {
            embedded = workshop.embedder.embed(&self.texts, Purpose::Passage) => Some(embedded),
            _ = unwanted => None,
        };
        telemetry::job_stage(StageName::Embed, asked.elapsed());
        (self.parts, outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down() -> EmbedError {
        EmbedError::Unavailable { provider: "p".into(), reason: "status 503".into() }
    }

    fn refused() -> EmbedError {
        EmbedError::Refused { provider: "p".into(), reason: "status 400".into() }
    }

    fn invalid() -> EmbedError {
        EmbedError::Invalid { provider: "p".into(), reason: "no JSON".into() }
    }

    #[test]
    fn an_outage_is_waited_out_however_long_it_lasts() {
        let mut failures = Failures::default();
        for at in 0..1000 {
            let pause = failures.note(&down(), 7, Some(Duration::MAX)).unwrap();
            assert!(pause <= Duration::from_secs(15), "attempt {at}");
        }
        assert_eq!(Failures::default().note(&down(), 0, None), None, "who has no patience is told at once");
    }

    #[test]
    fn a_text_that_is_refused_is_not_tried_again() {
        assert_eq!(Failures::default().note(&refused(), 0, Some(Duration::MAX)), None);
    }

    #[test]
    fn what_is_no_vector_is_borne_for_a_moment() {
        let mut failures = Failures::default();
        let attempts = (0..100).take_while(|_| failures.note(&invalid(), 0, Some(Duration::MAX)).is_some()).count();
        assert_eq!(attempts, INVALID_BORNE - 1);
    }

    #[test]
    fn a_text_that_alone_fails_while_others_are_answered_is_given_up() {
        let mut failures = Failures::default();
        let attempts = (0..100).take_while(|at| failures.note(&down(), *at, Some(Duration::MAX)).is_some()).count();
        assert_eq!(attempts, ALONE_BORNE);
    }
}
