//! Single flight, renewal, cooldown, with a source that is told what to answer.

use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;

use tokio::sync::Semaphore;

use super::*;

/// Answers what the script says, each answer when it is let go.
struct Scripted {
    answers: Mutex<VecDeque<Result<(u32, u64), CredentialError>>>,
    permits: Arc<Semaphore>,
    asked: Arc<AtomicUsize>,
}

impl Source for Scripted {
    type Value = u32;

    async fn fetch(&self) -> Result<Fetched<u32>, CredentialError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        let answer = self.answers.lock().pop_front().expect("one answer per question");
        answer.map(|(value, life_s)| Fetched { value, life: Duration::from_secs(life_s) })
    }

    fn endpoint(&self) -> Arc<str> {
        "id.example".into()
    }
}

struct Bench {
    cache: Arc<TokenCache<Scripted>>,
    clock: Clock,
    permits: Arc<Semaphore>,
    asked: Arc<AtomicUsize>,
}

impl Bench {
    fn new(answers: Vec<Result<(u32, u64), CredentialError>>) -> Self {
        let permits = Arc::new(Semaphore::new(0));
        let asked = Arc::new(AtomicUsize::new(0));
        let source =
            Scripted { answers: Mutex::new(answers.into()), permits: permits.clone(), asked: asked.clone() };
        let clock = Clock::manual(Duration::ZERO);
        let timing = Timing { first_wait: Duration::ZERO, ..Timing::default() };
        let cache = Arc::new(TokenCache::new(source, "b".into(), clock.clone(), timing));
        Self { cache, clock, permits, asked }
    }

    fn let_go(&self, answers: usize) {
        self.permits.add_permits(answers);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn valid(&self) -> Option<u32> {
        self.cache.with_valid(|value| *value)
    }

    async fn value(&self) -> Result<u32, CredentialError> {
        match self.valid() {
            Some(value) => Ok(value),
            None => self.cache.wait().await.map(|held| held.value),
        }
    }

    /// Waits for the end of the flight that is under way.
    async fn landed(&self) {
        let running = self.cache.0.flight.lock().running.clone();
        if let Some(mut running) = running {
            drop(running.wait_for(Option::is_some).await);
        }
    }
}

fn refused(status: u16, transient: bool) -> CredentialError {
    let endpoint = "id.example".into();
    CredentialError::Refused { endpoint, status, code: None, retry_after: None, transient }
}

#[tokio::test]
async fn a_hundred_callers_cause_one_fetch() {
    let bench = Arc::new(Bench::new(vec![Ok((7, 3600))]));
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { bench.value().await.unwrap() })
        })
        .collect();
    while bench.asked() == 0 {
        tokio::task::yield_now().await;
    }
    bench.let_go(100);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 7);
    }
    assert_eq!(bench.asked(), 1);
}

#[tokio::test]
async fn an_aging_value_is_renewed_while_it_is_still_used() {
    let bench = Bench::new(vec![Ok((1, 1000)), Ok((2, 1000))]);
    bench.let_go(1);
    assert_eq!(bench.value().await.unwrap(), 1);
    bench.clock.advance(Duration::from_secs(700));
    assert_eq!((bench.valid(), bench.asked()), (Some(1), 1), "still fresh");
    bench.clock.advance(Duration::from_secs(101));
    assert_eq!(bench.valid(), Some(1));
    assert_eq!(bench.valid(), Some(1), "the old one is used while the new one is fetched");
    bench.let_go(1);
    bench.landed().await;
    assert_eq!((bench.valid(), bench.asked()), (Some(2), 2));
}

#[tokio::test]
async fn a_failed_renewal_does_not_disturb_requests_and_is_repeated_after_its_cooldown() {
    let bench = Bench::new(vec![Ok((1, 1000)), Err(refused(400, false)), Ok((2, 1000))]);
    bench.let_go(3);
    assert_eq!(bench.value().await.unwrap(), 1);
    bench.clock.advance(Duration::from_secs(801));
    assert_eq!(bench.valid(), Some(1));
    bench.landed().await;
    assert_eq!((bench.valid(), bench.asked()), (Some(1), 2), "left alone during the cooldown");
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.valid(), Some(1));
    bench.landed().await;
    assert_eq!((bench.valid(), bench.asked()), (Some(2), 3));
}

#[tokio::test]
async fn without_a_valid_value_requests_fail_at_once_during_the_cooldown() {
    let bench = Bench::new(vec![Err(refused(401, false)), Ok((1, 1000))]);
    bench.let_go(2);
    for _ in 0..5 {
        let error = bench.value().await.unwrap_err();
        assert!(matches!(error, CredentialError::Refused { status: 401, .. }), "{error}");
    }
    assert_eq!(bench.asked(), 1);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.value().await.unwrap(), 1);
}

#[tokio::test]
async fn an_expired_value_is_not_used_even_if_no_other_can_be_had() {
    let bench = Bench::new(vec![Ok((1, 100)), Err(refused(403, false))]);
    bench.let_go(2);
    assert_eq!(bench.value().await.unwrap(), 1);
    bench.clock.advance(Duration::from_secs(90));
    assert_eq!(bench.valid(), None);
    assert!(bench.value().await.is_err());
}

#[tokio::test]
async fn transient_errors_are_tried_again_within_the_flight() {
    let bench = Bench::new(vec![Err(refused(429, true)), Err(refused(500, true)), Ok((1, 1000))]);
    bench.let_go(3);
    assert_eq!(bench.value().await.unwrap(), 1);
    assert_eq!(bench.asked(), 3);
}

#[tokio::test]
async fn an_endpoint_that_asks_for_patience_is_left_alone_for_that_long() {
    let patience = Some(Duration::from_secs(30));
    let error = CredentialError::Refused {
        endpoint: "id.example".into(),
        status: 429,
        code: None,
        retry_after: patience,
        transient: true,
    };
    let bench = Bench::new(vec![Err(error), Ok((1, 1000))]);
    bench.let_go(2);
    assert!(bench.value().await.is_err());
    bench.clock.advance(Duration::from_secs(29));
    assert!(bench.value().await.is_err());
    assert_eq!(bench.asked(), 1);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.value().await.unwrap(), 1);
}

#[tokio::test]
async fn cooldowns_double_up_to_their_bound() {
    let bench = Bench::new(Vec::new());
    let shared = &bench.cache.0;
    for (failures, most_s) in [(1, 1), (2, 2), (4, 8), (7, 60), (1000, 60)] {
        let cooldown = shared.cooldown(failures, &refused(500, true));
        let most = Duration::from_secs(most_s);
        assert!(cooldown <= most && cooldown >= most / 2, "{failures}: {cooldown:?}");
    }
}

#[tokio::test]
async fn a_refused_value_is_thrown_away_once_and_its_young_successor_is_kept() {
    let bench = Bench::new(vec![Ok((1, 3600)), Ok((2, 3600))]);
    bench.let_go(2);
    assert_eq!(bench.value().await.unwrap(), 1);
    bench.clock.advance(Duration::from_secs(60));
    bench.cache.invalidate();
    assert_eq!(bench.valid(), None);
    assert_eq!(bench.value().await.unwrap(), 2);
    bench.cache.invalidate();
    assert_eq!(bench.valid(), Some(2));
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_call_off_the_fetch() {
    let bench = Arc::new(Bench::new(vec![Ok((1, 1000))]));
    let impatient = tokio::spawn({
        let bench = Arc::clone(&bench);
        async move { bench.value().await }
    });
    while bench.asked() == 0 {
        tokio::task::yield_now().await;
    }
    impatient.abort();
    drop(impatient.await);
    bench.let_go(1);
    assert_eq!(bench.value().await.unwrap(), 1);
    assert_eq!(bench.asked(), 1);
}

#[test]
fn a_flight_that_dies_with_its_worker_is_followed_by_another() {
    let bench = Arc::new(Bench::new(vec![Ok((1, 1000))]));
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let worker = runtime();
    worker.block_on(async {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.value().await });
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    });
    assert_eq!(bench.asked(), 1);
    drop(worker);
    bench.let_go(1);
    assert_eq!(runtime().block_on(bench.value()).unwrap(), 1);
    assert_eq!(bench.asked(), 2);
}
