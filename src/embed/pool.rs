//! Threads that run the built-in model.
//!
//! Questions have threads of their own, so none waits behind a passage; passages run on threads of low priority, which
//! the system holds back while a question computes. Calls for passages take turns text by text, so a large build does
//! not hold up a small one. A call that is dropped leaves the queue, and a text that makes the model panic fails alone.

use std::collections::VecDeque;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{EmbedError, Embedded, Purpose};

/// Texts of one call that are in the pool at once; bounds what is copied for it.
const WINDOW: usize = 256;
/// Questions that may wait. At some 10 ms each, the last of them waits for seconds: beyond that, no is a better answer.
const MAX_QUESTIONS: usize = 512;
/// Niceness of threads for passages: about a tenth of a question's share of a core that both want (sched(7)).
const NICE: i32 = 10;

/// A model that threads share.
pub(super) trait Model: Send + Sync + 'static {
    /// What one thread needs to run it. The first call may take long, to load the model.
    fn session(&self) -> Result<Box<dyn Session>, String>;
}

/// One thread's hold of a [`Model`].
pub(super) trait Session {
    /// The vector of one text.
    fn embed(&mut self, text: &str) -> Result<Vector, String>;
}

/// One text's vector and what it cost.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Vector {
    /// Of unit length.
    pub values: Vec<f32>,
    /// Model tokens read.
    pub model_tokens: u64,
}

/// The threads, started when they are first needed, and their queues.
pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: usize,
    started: OnceLock<Result<(), String>>,
}

struct Shared {
    model: Arc<dyn Model>,
    questions: Lane,
    passages: Lane,
}

/// A queue and the bell of the threads that serve it.
#[derive(Default)]
struct Lane {
    queue: Mutex<Queue>,
    filled: Condvar,
}

#[derive(Default)]
struct Queue {
    calls: VecDeque<Call>,
    closed: bool,
}

/// A text's place in its call, and what became of it.
type Reply = (usize, Result<Vector, EmbedError>);

/// Texts of one call that no thread has taken yet, with their place in the call; the last is next.
struct Call {
    texts: Vec<(usize, String)>,
    reply: UnboundedSender<Reply>,
}

impl Pool {
    /// `threads` for passages and as many for questions; 0 takes one a core.
    pub(super) fn new(model: Arc<dyn Model>, threads: usize) -> Self {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, NonZero::get),
            set => set,
        };
        let shared = Shared { model, questions: Lane::default(), passages: Lane::default() };
        Self { shared: Arc::new(shared), threads, started: OnceLock::new() }
    }

    /// Embeds all `texts`, or fails with the first that fails.
    pub(super) async fn embed(&self, texts: &[String], purpose: Purpose) -> Result<Embedded, EmbedError> {
        self.start()?;
        let lane = match purpose {
            Purpose::Question => &self.shared.questions,
            Purpose::Passage => &self.shared.passages,
        };
        let mut embedded = Embedded { vectors: Vec::with_capacity(texts.len()), model_tokens: 0 };
        for window in texts.chunks(WINDOW) {
            let mut results = lane.submit(window, purpose)?;
            let mut vectors = vec![Vec::new(); window.len()];
            for _ in window {
                let (place, result) = results.recv().await.ok_or_else(stopped)?;
                let vector = result?;
                vectors[place] = vector.values;
                embedded.model_tokens += vector.model_tokens;
            }
            embedded.vectors.append(&mut vectors);
        }
        Ok(embedded)
    }

    fn start(&self) -> Result<(), EmbedError> {
        self.started.get_or_init(|| self.spawn_threads()).clone().map_err(EmbedError::Builtin)
    }

    fn spawn_threads(&self) -> Result<(), String> {
        for purpose in [Purpose::Question, Purpose::Passage].repeat(self.threads) {
            let shared = self.shared.clone();
            std::thread::Builder::new()
                .name(format!("embed-{purpose:?}").to_lowercase())
                .spawn(move || shared.work(purpose))
                .map_err(|error| format!("cannot start a thread: {error}"))?;
        }
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for lane in [&self.shared.questions, &self.shared.passages] {
            lane.lock().closed = true;
            lane.filled.notify_all();
        }
    }
}

impl Lane {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it is held, and a queue has no half-way state.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues copies of `texts`. Dropping the receiver takes back those that no thread has begun.
    fn submit(&self, texts: &[String], purpose: Purpose) -> Result<UnboundedReceiver<Reply>, EmbedError> {
        let mut texts: Vec<(usize, String)> = texts.iter().cloned().enumerate().collect();
        // Longest first, so that threads end a call nearly together.
        texts.sort_by_key(|(_, text)| text.len());
        let (reply, results) = unbounded_channel();
        let mut queue = self.lock();
        queue.calls.retain(|call| !call.reply.is_closed());
        if purpose == Purpose::Question && queue.calls.len() >= MAX_QUESTIONS {
            let reason = "too many questions wait to be embedded".to_owned();
            return Err(EmbedError::Unavailable { provider: "builtin".to_owned(), reason: reason.into() });
        }
        queue.calls.push_back(Call { texts, reply });
        drop(queue);
        self.filled.notify_all();
        Ok(results)
    }

    /// Waits for a text; `None` when the pool is gone.
    fn take(&self) -> Option<(usize, String, UnboundedSender<Reply>)> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            let Some(mut call) = queue.calls.pop_front() else {
                queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if call.reply.is_closed() {
                continue;
            }
            let Some((place, text)) = call.texts.pop() else { continue };
            let reply = call.reply.clone();
            if !call.texts.is_empty() {
                // To the end of the line: calls take turns.
                queue.calls.push_back(call);
            }
            return Some((place, text, reply));
        }
    }
}

impl Shared {
    /// One thread's life.
    fn work(&self, purpose: Purpose) {
        let lane = match purpose {
            Purpose::Question => &self.questions,
            Purpose::Passage => {
                // Where the system does not allow it, passages compete with questions for the core, no more.
                let _ = rustix::process::nice(NICE);
                &self.passages
            }
        };
        let mut session = None;
        while let Some((place, text, reply)) = lane.take() {
            let outcome = catch_unwind(AssertUnwindSafe(|| self.embed(&mut session, &text)));
            let result = outcome.unwrap_or_else(|_| Err("the model panicked".to_owned()));
            if result.is_err() {
                // Its buffers may be half-way through a run.
                session = None;
            }
            // Fails when the caller has left.
            let _ = reply.send((place, result.map_err(EmbedError::Builtin)));
        }
    }

    fn embed(&self, session: &mut Option<Box<dyn Session>>, text: &str) -> Result<Vector, String> {
        match session {
            Some(session) => session.embed(text),
            None => session.insert(self.model.session()?).embed(text),
        }
    }
}

fn stopped() -> EmbedError {
    EmbedError::Builtin("its threads have stopped".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    /// Stands in for the model: `wait…` blocks until the test lets it go on, `panic` panics, `fail` fails; the vector is
    /// the text's length.
    struct Fake {
        begun: AtomicUsize,
        /// Rings when a `wait…` begins.
        waiting: Mutex<mpsc::Sender<()>>,
        go_on: Arc<Mutex<mpsc::Receiver<()>>>,
    }

    struct FakeSession(Arc<Fake>);

    struct Shop {
        pool: Arc<Pool>,
        fake: Arc<Fake>,
        waiting: mpsc::Receiver<()>,
        go_on: mpsc::Sender<()>,
    }

    impl Model for Arc<Fake> {
        fn session(&self) -> Result<Box<dyn Session>, String> {
            Ok(Box::new(FakeSession(self.clone())))
        }
    }

    impl Session for FakeSession {
        fn embed(&mut self, text: &str) -> Result<Vector, String> {
            self.0.begun.fetch_add(1, Ordering::SeqCst);
            match text {
                "panic" => panic!("as asked"),
                "fail" => return Err("as asked".into()),
                "nice" => {
                    let nice = rustix::process::getpriority_process(None).unwrap();
                    return Ok(Vector { values: vec![f32::from(i16::try_from(nice).unwrap())], model_tokens: 1 });
                }
                _ => {}
            }
            if text.starts_with("wait") {
                let _ = self.0.waiting.lock().unwrap().send(());
                let _ = self.0.go_on.lock().unwrap().recv();
            }
            let length = u16::try_from(text.len()).unwrap();
            Ok(Vector { values: vec![f32::from(length)], model_tokens: 1 })
        }
    }

    fn shop(threads: usize) -> Shop {
        let (rings, waiting) = mpsc::channel();
        let (go_on, gate) = mpsc::channel();
        let fake = Arc::new(Fake {
            begun: AtomicUsize::new(0),
            waiting: Mutex::new(rings),
            go_on: Arc::new(Mutex::new(gate)),
        });
        Shop { pool: Arc::new(Pool::new(Arc::new(fake.clone()), threads)), fake, waiting, go_on }
    }

    fn texts(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    impl Shop {
        fn begin(&self, words: &[&str], purpose: Purpose) -> tokio::task::JoinHandle<Result<Embedded, EmbedError>> {
            let (pool, words) = (self.pool.clone(), texts(words));
            tokio::spawn(async move { pool.embed(&words, purpose).await })
        }

        async fn ask(&self, word: &str) -> Result<Embedded, EmbedError> {
            self.pool.embed(&texts(&[word]), Purpose::Question).await
        }

        fn begun(&self) -> usize {
            self.fake.begun.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn vectors_come_back_in_the_order_of_their_texts() {
        let lengths: Vec<u8> = (0..100u8).cycle().step_by(7).take(600).collect();
        let words: Vec<String> = lengths.iter().map(|length| "x".repeat(usize::from(*length))).collect();
        let embedded = shop(3).pool.embed(&words, Purpose::Passage).await.unwrap();
        let expected: Vec<Vec<f32>> = lengths.iter().map(|length| vec![f32::from(*length)]).collect();
        assert_eq!(embedded.vectors, expected);
        assert_eq!(embedded.model_tokens, 600);
        assert_eq!(shop(1).pool.embed(&[], Purpose::Passage).await.unwrap().vectors, Vec::<Vec<f32>>::new());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_question_never_waits_behind_passages() {
        let shop = shop(1);
        let build = shop.begin(&["wait", "b", "c"], Purpose::Passage);
        shop.waiting.recv().unwrap();
        assert_eq!(shop.ask("why").await.unwrap().vectors, [[3.0]]);
        assert!(!build.is_finished());
        shop.go_on.send(()).unwrap();
        assert_eq!(build.await.unwrap().unwrap().vectors, [[4.0], [1.0], [1.0]]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_dropped_call_leaves_its_remaining_texts_undone() {
        let shop = shop(1);
        let build = shop.begin(&["wait", "b", "c", "d", "e"], Purpose::Passage);
        shop.waiting.recv().unwrap();
        build.abort();
        assert!(build.await.unwrap_err().is_cancelled());
        shop.go_on.send(()).unwrap();
        shop.begin(&["f"], Purpose::Passage).await.unwrap().unwrap();
        assert_eq!(shop.begun(), 2, "texts of a call that nobody waits for were embedded");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_small_call_takes_turns_with_a_large_one() {
        let shop = shop(1);
        let large = shop.begin(&["wait"; 50], Purpose::Passage);
        shop.waiting.recv().unwrap();
        let small = shop.begin(&["b"], Purpose::Passage);
        while shop.pool.shared.passages.lock().calls.len() < 2 {
            tokio::task::yield_now().await;
        }
        // The text under way, and one more at most, come before the small call's.
        shop.go_on.send(()).unwrap();
        shop.go_on.send(()).unwrap();
        small.await.unwrap().unwrap();
        assert!(!large.is_finished());
        drop(shop.go_on);
        large.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_text_that_makes_the_model_panic_fails_alone() {
        let shop = shop(1);
        assert!(matches!(shop.ask("panic").await, Err(EmbedError::Builtin(_))));
        assert!(matches!(shop.ask("fail").await, Err(EmbedError::Builtin(reason)) if reason == "as asked"));
        assert_eq!(shop.ask("fine").await.unwrap().vectors, [[4.0]]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn too_many_waiting_questions_are_refused() {
        let shop = shop(1);
        let first = shop.begin(&["wait"], Purpose::Question);
        shop.waiting.recv().unwrap();
        let mut held = Vec::new();
        for _ in 0..MAX_QUESTIONS {
            held.push(shop.pool.shared.questions.submit(&texts(&["x"]), Purpose::Question).unwrap());
        }
        assert!(matches!(shop.ask("one more").await, Err(EmbedError::Unavailable { .. })));
        // Those whose askers left make room again.
        held.truncate(10);
        let next = shop.begin(&["one more"], Purpose::Question);
        shop.go_on.send(()).unwrap();
        assert!(first.await.unwrap().is_ok() && next.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn passages_run_at_a_lower_priority_than_questions() {
        let shop = shop(1);
        let built = shop.begin(&["nice"], Purpose::Passage).await.unwrap().unwrap().vectors[0][0];
        let asked = shop.ask("nice").await.unwrap().vectors[0][0];
        assert!(built > asked || built >= 19.0, "{built} against {asked}");
    }
}
