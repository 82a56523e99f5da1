//! Command-line agents as people install them, each doing one task with its own tools through the gateway, in front
//! of every backend format, with the default policy.
//!
//! The task is four calls of a model: look at a file, two calls at a time, change the file, say so. What counts: the
//! file is changed, the agent ends well, every attempt is one row of the ledger, and the agent's own sums are the
//! ledger's. `tests/agents` runs more of them.

#![expect(clippy::print_stdout, reason = "the table is what is looked at")]

mod alone;
mod list;
mod more;
mod program;
mod said;

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::process::Command;
use tollgate_tests::harness::gateway::{Gateway, GatewayConfig, Subscriber};
use tollgate_tests::harness::topic::Records;
use tollgate_tests::harness::{install, keys, log};
use tollgate_tests::sim::{Options, Sim};

use self::list::{AGENTS, Agent};
use self::said::Tokens;
use crate::sdk_matrix::plan::connection;
use crate::support::sim;

/// Name of a backend, and the model that its alias stands for.
const BACKENDS: [(&str, &str); 6] = [
    ("openai", "gpt-5-mini"),
    ("compatible", "gpt-4.1-mini"),
    ("azure-v1", "gpt-5-mini"),
    ("anthropic", "claude-sonnet-4-5"),
    ("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("gemini", "gemini-2.5-flash"),
];
/// What the agent is asked; the simulated models know the first words.
const TASK: &str = "AGENT TASK: read notes.txt, then change it, then say that you have changed it.";
const CHANGED: &str = "changed by an agent";
/// Agents that run at the same time.
const AT_ONCE: usize = 2;
/// Longest time for one task.
const PATIENCE: Duration = Duration::from_secs(120);

/// Names of the agents that run instead of the usual ones.
const CHOICE: &str = "TOLLGATE_AGENTS";

fn chosen() -> Vec<&'static Agent> {
    let choice = std::env::var(CHOICE).unwrap_or_default();
    let names: Vec<&str> = choice.split_whitespace().collect();
    let is_chosen = |agent: &&Agent| match names.is_empty() {
        true => agent.is_usual,
        false => names.contains(&agent.name),
    };
    let chosen: Vec<_> = AGENTS.iter().filter(is_chosen).collect();
    assert!(chosen.len() >= names.len(), "{CHOICE} names an agent that does not exist: {choice}");
    chosen
}

#[test]
fn every_agent_does_its_task_on_every_backend_format_with_the_default_policy() {
    let agents = chosen();
    let is_installed = |agent: &&Agent| install::home().join("agents").join(agent.program).exists();
    if !install::available("agents", agents.iter().all(is_installed), "run tests/setup/agents") {
        return;
    }
    alone::run("agents::every_agent_does_its_task_on_every_backend_format_with_the_default_policy", || {
        tokio::runtime::Runtime::new().unwrap().block_on(all(&agents));
    });
}

async fn all(agents: &[&'static Agent]) {
    let folder = tempfile::tempdir().unwrap();
    let sim: Sim = sim(Options::default()).await;
    let config = config(folder.path(), &sim, agents);
    let mut gateway = config.start().await.unwrap();
    let tasks = agents.iter().flat_map(|agent| BACKENDS.map(|(backend, _)| (agent, backend)));
    let (running, place) = (&gateway, folder.path());
    let runs = tasks
        .map(|(agent, backend)| async move { (*agent, backend, run(agent, backend, running, place).await) });
    let done: Vec<_> = futures_util::stream::iter(runs).buffered(AT_ONCE).collect().await;
    gateway.stop().await.unwrap();
    let records = log::usage(&config.folder().join("log")).unwrap();
    // What providers have seen of requests: an attempt that is no row would show here.
    let attempts = sim.state().stats().requests;
    let wrong = table(done, &records, attempts);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What an agent has done at a backend.
type Done = (&'static Agent, &'static str, Result<Option<Tokens>, String>);

/// Prints a line for each, and gives what is wrong.
fn table(done: Vec<Done>, records: &Records, attempts: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut all_rows = 0;
    println!("agent     backend     done rows        client        ledger  sums");
    for (agent, backend, said) in done {
        let name = agent.name;
        let (rows, ledger) = ledger(records, &subscription(name, backend));
        all_rows += rows as u64;
        let task = if said.is_ok() { "yes" } else { "no" };
        let client =
            said.as_ref().ok().and_then(|said| *said).map_or("-".to_owned(), |said| said.to_string());
        let verdict = said.and_then(|said| judge(agent, rows, ledger, said));
        let shown = verdict.as_deref().unwrap_or("WRONG");
        println!("{name:<9} {backend:<11} {task:<4} {rows:>4} {client:>13} {ledger:>13}  {shown}");
        if let Err(error) = verdict {
            wrong.push(format!("{name} on {backend}: {error}"));
        }
    }
    println!("{attempts} attempts at the providers, {all_rows} rows in the ledger");
    if attempts != all_rows {
        wrong.push(format!("{attempts} attempts at the providers are {all_rows} rows in the ledger"));
    }
    wrong
}

fn subscription(agent: &str, backend: &str) -> String {
    format!("{agent}-{backend}")
}

fn config(folder: &Path, sim: &Sim, agents: &[&Agent]) -> GatewayConfig {
    let mut config = GatewayConfig::new(folder).unwrap();
    for (backend, model) in BACKENDS {
        // All calls are of one tenant, so an account may be shared.
        let connection = connection(backend, sim.addr());
        config = config.set(&format!("backends.{backend}"), connection).alias(backend, backend, model);
    }
    config = config.product("gold", &BACKENDS.map(|(backend, _)| backend));
    for agent in agents {
        for (backend, _) in BACKENDS {
            let name = subscription(agent.name, backend);
            let (product, tenant, cost_center, team) = ("gold", "acme", "4711", "agents");
            config = config.subscription(&Subscriber { name: &name, product, tenant, cost_center, team });
        }
    }
    config
}

/// Runs one agent in a folder and with a home of its own. Gives the tokens that it says it has used, where it says
/// so.
async fn run(
    agent: &Agent,
    backend: &str,
    gateway: &Gateway,
    folder: &Path,
) -> Result<Option<Tokens>, String> {
    let place = folder.join(subscription(agent.name, backend));
    let (work, home) = (place.join("work"), place.join("home"));
    std::fs::create_dir_all(&work).unwrap();
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(work.join("notes.txt"), "nothing yet").unwrap();
    let url = format!("http://{}", gateway.addr());
    let key = keys::text(&subscription(agent.name, backend));
    let mut command = Command::new(install::home().join("agents").join(agent.program));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", &home);
    command.env("NO_COLOR", "1").env("CI", "1").current_dir(&work);
    alone::without_internet(&mut command);
    (agent.prepare)(
        &mut command,
        &program::Asked { url: &url, key: &key, alias: backend, task: TASK, home: &home },
    );
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    let Ok(ended) = tokio::time::timeout(PATIENCE, command.output()).await else {
        return Err(format!("was not done after {PATIENCE:?}"));
    };
    let ended = ended.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
    let tail =
        |text: &str| text.chars().rev().take(1_500).collect::<Vec<_>>().into_iter().rev().collect::<String>();
    if !ended.status.success() {
        return Err(format!("ended with {}: {} {}", ended.status, tail(&text), tail(&errors)));
    }
    let notes = std::fs::read_to_string(work.join("notes.txt")).unwrap();
    if notes.trim_end() != CHANGED {
        return Err(format!("has not changed the file: {} {}", tail(&text), tail(&errors)));
    }
    Ok((agent.tokens)(&text))
}

/// Rows of a subscription, and what they sum up to.
fn ledger(records: &Records, subscription: &str) -> (usize, Tokens) {
    let mut sum = Tokens::default();
    let mut rows = 0;
    for event in records.events.iter().filter(|event| *event.payer.subscription == *subscription) {
        rows += 1;
        sum.input += event.input_tokens();
        sum.output += event.output_tokens();
    }
    (rows, sum)
}

fn judge(agent: &Agent, rows: usize, ledger: Tokens, said: Option<Tokens>) -> Result<String, String> {
    if rows < agent.calls {
        return Err(format!("{rows} rows for {} calls of the model", agent.calls));
    }
    match said {
        Some(said) if said != ledger => Err(format!("says {said}, the ledger says {ledger}")),
        Some(_) => Ok("equal".to_owned()),
        None if agent.says_sums => Err("does not say its sums".to_owned()),
        None => Ok("says none".to_owned()),
    }
}
