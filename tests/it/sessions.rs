//! Long sessions with tools through every client's format to every backend's: the provider's prompt cache knows what
//! was sent before, the ledger shows it, and thoughts go back to those who had them. Turn 10 fails over.

use std::collections::HashMap;

use serde_json::json;
use tollgate_schemas::tokens::TokenClass;
use tollgate_schemas::usage::UsageEvent;
use tollgate_tests::harness::gateway::{GatewayConfig, Subscriber};
use tollgate_tests::harness::http::{Client as Http, Reply};
use tollgate_tests::harness::{install, log};
use tollgate_tests::sim::faults::{Faults, StatusFault};

use crate::sdk_matrix::plan::connection;
use crate::support::{Bed, bed};
use bodies::{assert_grow_at_the_end, pieces};
use clients::{Chat, Client, Gemini, Messages, Outcome, Responses};

mod bodies;
mod clients;

const TURNS: usize = 20;
const PICTURE_AT: usize = 3;
const NOTE_AT: usize = 5;
const FAILS_AT: usize = 7;
const FAILED_OVER: usize = 10;
/// What a prompt cache must give of the turns after this one, in percent of their prompts.
const WARM_AFTER: usize = 3;
const LEAST_SHARE: u64 = 80;

/// A backend, and who stands in for it.
struct Backend {
    name: &'static str,
    target: Target,
    stand_in: Target,
    /// What each thought begins with in its bodies; `None` if thoughts have no place there.
    thought: Option<&'static str>,
    /// Whether answers have a proof of their thoughts only where they call tools.
    proves_calls_alone: bool,
}

struct Target {
    backend: &'static str,
    model: &'static str,
    api: Option<&'static str>,
}

const fn target(backend: &'static str, model: &'static str, api: Option<&'static str>) -> Target {
    Target { backend, model, api }
}

const CLAUDE: Target = target("anthropic", "claude-sonnet-4-5", None);
const CLAUDE_ON_BEDROCK: Target = target("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", None);
const FLASH: Target = target("gemini", "gemini-2.5-flash", None);
const GPT_BY_CHAT: Target = target("openai", "gpt-5-mini", Some("chat"));
const GPT_BY_RESPONSES: Target = target("openai", "gpt-5-mini", Some("responses"));
const GPT_ON_AZURE: Target = target("azure-dated", "gpt-5-mini", None);

const fn backend(
    name: &'static str,
    target: Target,
    stand_in: Target,
    thought: Option<&'static str>,
) -> Backend {
    Backend { name, target, stand_in, thought, proves_calls_alone: false }
}

const BACKENDS: [Backend; 6] = [
    backend("openai-chat", GPT_BY_CHAT, CLAUDE, None),
    backend("openai-responses", GPT_BY_RESPONSES, FLASH, Some(r#""type":"reasoning""#)),
    backend("azure", GPT_ON_AZURE, CLAUDE_ON_BEDROCK, None),
    backend("anthropic", CLAUDE, GPT_BY_RESPONSES, Some(r#""type":"thinking""#)),
    backend("bedrock", CLAUDE_ON_BEDROCK, FLASH, Some(r#""reasoningContent""#)),
    Backend {
        proves_calls_alone: true,
        ..backend("gemini", FLASH, GPT_BY_CHAT, Some(r#""thoughtSignature""#))
    },
];

fn config(config: GatewayConfig) -> GatewayConfig {
    let url = config.value["backends"]["sim"]["url"].as_str().unwrap();
    let sim = url.trim_start_matches("http://").trim_end_matches("/v1").parse().unwrap();
    let names = ["openai", "azure-dated", "anthropic", "bedrock", "gemini"];
    let config = names
        .iter()
        .fold(config, |config, name| config.set(&format!("backends.{name}"), connection(name, sim)));
    let config = BACKENDS.iter().fold(config, |config, backend| {
        let target = |target: &Target, priority: u8| {
            let mut value = json!({ "backend": target.backend, "model": target.model, "priority": priority });
            if let Some(api) = target.api {
                value["api"] = json!(api);
            }
            value
        };
        let targets = [target(&backend.target, 1), target(&backend.stand_in, 2)];
        config.set(&format!("models.{}", backend.name), json!({ "targets": targets }))
    });
    config.product("gold", &BACKENDS.each_ref().map(|backend| backend.name)).subscription(&Subscriber {
        name: "checkout",
        product: "gold",
        tenant: "acme",
        cost_center: "4711",
        team: "checkout",
    })
}

/// What a session leaves behind.
struct Session {
    backend: &'static Backend,
    /// Turn and id of each request.
    requests: Vec<(usize, String)>,
    /// Bodies that the backend got.
    bodies: Vec<String>,
    /// Thoughts that its model has had and must get back.
    thoughts: usize,
}

/// One client in front of one backend.
struct Talk<'a> {
    bed: &'a Bed,
    http: &'a Http,
    client: Box<dyn Client>,
    session: Session,
    path: Option<String>,
}

impl Talk<'_> {
    async fn turn(&mut self, turn: usize) {
        let question = match turn {
            FAILED_OVER => "What have we learned so far?".to_owned(),
            _ if turn.is_multiple_of(3) => format!("Question {turn}: please use the tool for both places."),
            _ if turn.is_multiple_of(2) || turn == FAILS_AT => {
                format!("Question {turn}: please use the tool.")
            }
            _ => format!("Question {turn}: what is to be said about place {turn}?"),
        };
        self.client.say(&question, turn == PICTURE_AT);
        if turn == NOTE_AT {
            self.client.note("Answer in one sentence from here on.");
        }
        let calls = self.ask(turn).await;
        let expected = match turn {
            FAILED_OVER => 0,
            _ if turn.is_multiple_of(3) => 2,
            _ => usize::from(turn.is_multiple_of(2) || turn == FAILS_AT),
        };
        assert_eq!(calls.len(), expected, "{}, turn {turn}", self.way());
        if !calls.is_empty() {
            let failed = turn == FAILS_AT;
            let text = if failed { "no such place" } else { "sunny, 21 degrees, a light wind from the west" };
            self.client.give(&calls, Outcome { text, failed });
            assert!(self.ask(turn).await.is_empty(), "{}, turn {turn}", self.way());
        }
    }

    async fn ask(&mut self, turn: usize) -> Vec<clients::Call> {
        let alias = self.session.backend.name;
        let reply = self.http.post(&self.client.path(alias), &self.client.body(alias)).await.unwrap();
        assert_eq!(reply.status, 200, "{}, turn {turn}: {}", self.way(), reply.text());
        self.note_where_it_went(turn, &reply);
        let calls = self.client.take(&reply.json());
        let proves = !self.session.backend.proves_calls_alone || !calls.is_empty();
        self.session.thoughts += usize::from(turn != FAILED_OVER && proves);
        self.session.requests.push((turn, reply.header("x-request-id").to_owned()));
        calls
    }

    fn note_where_it_went(&mut self, turn: usize, reply: &Reply) {
        let backend = self.session.backend;
        let expected = if turn == FAILED_OVER { &backend.stand_in } else { &backend.target };
        assert_eq!(reply.header("x-tollgate-backend"), expected.backend, "{}, turn {turn}", self.way());
        let seen = self.bed.sim.state().take_seen();
        let path = self.path.get_or_insert_with(|| seen[0].path.clone());
        assert_eq!(seen.len(), if turn == FAILED_OVER { 2 } else { 1 });
        self.session.bodies.extend(seen.into_iter().filter(|seen| seen.path == *path).map(|seen| seen.body));
    }

    fn way(&self) -> String {
        format!("{} to {}", self.client.name(), self.session.backend.name)
    }
}

async fn session(bed: &Bed, http: &Http, client: Box<dyn Client>, backend: &'static Backend) -> Session {
    let session = Session { backend, requests: Vec::new(), bodies: Vec::new(), thoughts: 0 };
    let mut talk = Talk { bed, http, client, session, path: None };
    for turn in 1..=TURNS {
        if turn == FAILED_OVER {
            let fault = Faults { status: Some(StatusFault::code(503)), ..Faults::default() };
            bed.sim.state().set_fault(backend.target.model, fault);
        }
        talk.turn(turn).await;
        bed.sim.state().clear_faults();
        if turn == TURNS {
            // The last answer goes nowhere any more.
            let last = talk.session.bodies.last().unwrap();
            let proofs = backend.thought.map(|thought| last.matches(thought).count());
            let had = talk.session.thoughts - usize::from(!backend.proves_calls_alone);
            assert_eq!(proofs.unwrap_or(had), had, "{}: thoughts in {last}", talk.way());
        }
    }
    assert_grow_at_the_end(&talk.way(), &talk.session.bodies);
    for body in &talk.session.bodies {
        assert!(!pieces(body).concat().contains("tg1."), "{}: a mark was sent", talk.way());
    }
    talk.session
}

/// Prompt tokens of a row, and those of them that came from the provider's cache.
fn prompt(row: &UsageEvent) -> (u64, u64) {
    let cached = row.lines.iter().filter(|line| line.class == TokenClass::InputCacheRead);
    (row.input_tokens(), cached.map(|line| line.qty).sum())
}

/// The cached share of a session's warm turns, in percent, from the ledger's rows.
fn share(session: &Session, rows: &HashMap<String, Vec<UsageEvent>>) -> u64 {
    let of = |id: &String| {
        let rows = &rows[id];
        assert_eq!(rows.len(), 1, "{id}");
        prompt(&rows[0])
    };
    assert_eq!(of(&session.requests[0].1).1, 0, "{}: nothing is known at first", session.backend.name);
    let warm = session.requests.iter().filter(|(turn, _)| *turn > WARM_AFTER && *turn != FAILED_OVER);
    let (all, cached) = warm.map(|(_, id)| of(id)).fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
    cached * 100 / all
}

/// Runs the sessions of one client's format and shows what the ledger says.
async fn sessions(client: fn(&str) -> Box<dyn Client>) {
    let mut bed = bed(Default::default(), config).await;
    let http = bed.gateway.client("checkout").with("anthropic-version", "2023-06-01");
    let rules = "Look before you answer, name the place, and be brief. ".repeat(120);
    let mut ended = Vec::new();
    for backend in &BACKENDS {
        let instructions = format!("You serve {}. {rules}", backend.name);
        ended.push(session(&bed, &http, client(&instructions), backend).await);
    }
    bed.gateway.stop().await.unwrap();
    let path = bed.folder.path().join("gateway/log");
    let records = tokio::task::spawn_blocking(move || log::usage(&path).unwrap()).await.unwrap();
    let mut rows: HashMap<String, Vec<UsageEvent>> = HashMap::new();
    for row in records.rows() {
        rows.entry(row.request_id.to_string()).or_default().push(row.clone());
    }
    let shares = ended.iter().map(|session| (session.backend.name, share(session, &rows)));
    let shares: Vec<(&str, u64)> = shares.collect();
    let name = client("").name();
    let columns = shares.iter().map(|(backend, share)| format!("{backend} {share} %"));
    let table = columns.collect::<Vec<_>>().join(", ");
    install::announce(&format!("cached share after turn {WARM_AFTER}, {name} clients: {table}"));
    assert!(shares.iter().all(|(_, share)| *share > LEAST_SHARE), "{name}: {table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_chat_clients_are_read_from_the_cache_of_every_backend() {
    sessions(|instructions| Box::new(Chat::new(instructions))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_responses_clients_are_read_from_the_cache_of_every_backend() {
    sessions(|instructions| Box::new(Responses::new(instructions))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_messages_clients_are_read_from_the_cache_of_every_backend() {
    sessions(|instructions| Box::new(Messages::new(instructions))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_gemini_clients_are_read_from_the_cache_of_every_backend() {
    sessions(|instructions| Box::new(Gemini::new(instructions))).await;
}
