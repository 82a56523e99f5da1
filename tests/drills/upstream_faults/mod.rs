//! Every fault of a backend, met by a whole answer and by a stream, with one backend and with a second one that is
//! in order.
//!
//! Bounds: every request ends as it must, for its client and in the ledger; afterwards the gateway holds no socket,
//! no attempt and no intent that it did not hold before.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tollgate_schemas::ids::RequestId;
use tollgate_tests::harness::gateway::{BACKEND_KEY, Gateway, GatewayConfig, Subscriber, chat, chat_stream};
use tollgate_tests::harness::leaks::{Held, held};
use tollgate_tests::harness::{log, ports, wait};
use tollgate_tests::sim::{Options, Port, Sim};

mod cases;
mod seen;
mod table;
mod verdict;

use self::cases::{Case, Fault};
use self::seen::{Exchange, exchange};
use self::verdict::Row;
use crate::figures::{Figures, progress};

const CHAT: &str = "/v1/chat/completions";
/// What the faulty backends are given, each step; the second one has the defaults.
const PATIENCE: Duration = Duration::from_millis(4000);
/// The whole call, at those.
const TOTAL: Duration = Duration::from_secs(12);
/// How long the gateway may take to let go of what it held.
const LETS_GO: Duration = Duration::from_secs(15);

/// One request: a case, a form, and whether there is a second backend.
#[derive(Debug, Clone)]
struct Cell {
    case: Arc<Case>,
    stream: bool,
    second: bool,
}

impl Cell {
    /// The alias it asks for, which is its own, and so are its deployment, its circuit and its fault.
    fn alias(&self) -> String {
        let form = if self.stream { "stream" } else { "plain" };
        let beds = if self.second { "two" } else { "one" };
        format!("{}-{form}-{beds}", self.case.name)
    }

    fn model(&self) -> String {
        format!("sim-small:{}", self.alias())
    }

    fn backend(&self) -> &'static str {
        match self.case.fault {
            Fault::Port(Port::Closed) => "closed",
            Fault::Port(_) => "deaf",
            Fault::Answer(_) => "faulty",
        }
    }
}

/// The backends: three that are broken in one way or the other, and one that is not.
struct Backends {
    sims: BTreeMap<&'static str, Sim>,
}

/// Runs the drill.
pub(crate) async fn run(only: &str, connections: u32) -> Result<()> {
    let began = Instant::now();
    let folder = tempfile::tempdir()?;
    let cases = cases::all().into_iter().filter(|case| case.name.contains(only)).map(Arc::new);
    let cells = cases.flat_map(|case| {
        let forms = [(false, false), (false, true), (true, false), (true, true)];
        forms.map(|(stream, second)| Cell { case: Arc::clone(&case), stream, second })
    });
    let cells = cells.collect::<Vec<_>>();
    progress(format_args!("{} requests to simulated backends, {connections} at a time", cells.len()));
    let backends = Backends::start(&cells).await?;
    let mut gateway = config(folder.path(), &backends, &cells)?.start().await?;
    warm_up(&gateway).await?;
    let before = held(&gateway).await?;
    let idle_before = backends.open();

    let exchanges = send_all(&gateway, &cells, connections).await?;
    let leaks = leaked(&gateway, &backends, before, idle_before).await?;
    gateway.stop().await?;
    let rows = rows(&folder.path().join("gateway/log"), &exchanges).await?;

    let table = table::Table::new(&cells, &exchanges, &rows);
    table.print();
    Figures::default()
        .put("drill", "upstream-faults")
        .put("faults", cells.len() / 4)
        .put("requests", cells.len())
        .bound("wrong_ends", table.wrong(), 0)
        .bound("leaked_sockets", leaks.sockets, 0)
        .bound("open_intents", leaks.open_intents, 0)
        .bound("in_flight", leaks.in_flight, 0)
        .bound("busy_at_backends", backends.under_way(), 0)
        .put("seconds", began.elapsed().as_secs())
        .finish()
}

impl Backends {
    async fn start(cells: &[Cell]) -> Result<Self> {
        let faults = cells.iter().filter_map(|cell| match &cell.case.fault {
            Fault::Answer(faults) => Some((cell.model(), (**faults).clone())),
            Fault::Port(_) => None,
        });
        let key = Some(BACKEND_KEY.to_owned());
        let good = Options { key, ..Options::default() };
        let options = [
            ("faulty", Options { faults: faults.collect(), ..good.clone() }),
            ("closed", Options { port: Port::Closed, ..good.clone() }),
            ("deaf", Options { port: Port::Deaf, ..good.clone() }),
            ("second", good),
        ];
        let mut sims = BTreeMap::new();
        for (name, options) in options {
            sims.insert(name, Sim::start(ports::free()?, options).await?);
        }
        Ok(Self { sims })
    }

    fn addr(&self, name: &str) -> Option<SocketAddr> {
        self.sims.get(name).map(Sim::addr)
    }

    /// Connections open now.
    fn open(&self) -> u64 {
        self.sims.values().map(|sim| sim.state().stats().traffic.open).sum()
    }

    /// Requests under way now.
    fn under_way(&self) -> u64 {
        self.sims.values().map(|sim| sim.state().stats().traffic.under_way).sum()
    }
}

fn config(folder: &Path, backends: &Backends, cells: &[Cell]) -> Result<GatewayConfig> {
    let mut config = GatewayConfig::new(folder)?;
    for &name in backends.sims.keys() {
        let addr = backends.addr(name).map(|addr| format!("http://{addr}/v1")).unwrap_or_default();
        config = config.backend(name, &addr);
        if name != "second" {
            let step = format!("{} ms", PATIENCE.as_millis());
            let total = format!("{} ms", TOTAL.as_millis());
            let timeouts = json!({ "connect": step, "first_byte": step, "idle": step, "total": total });
            config = config.set(&format!("backends.{name}.timeouts"), timeouts);
        }
    }
    let mut aliases = vec!["well".to_owned()];
    config = config.alias("well", "second", "sim-small");
    for cell in cells {
        let mut targets = vec![json!({ "backend": cell.backend(), "model": cell.model(), "priority": 1 })];
        if cell.second {
            targets.push(json!({ "backend": "second", "model": "sim-small", "priority": 2 }));
        }
        config = config.set(&format!("models.{}", cell.alias()), json!({ "targets": targets }));
        aliases.push(cell.alias());
    }
    let names = aliases.iter().map(String::as_str).collect::<Vec<_>>();
    let who =
        Subscriber { name: "drill", product: "all", tenant: "acme", cost_center: "1", team: "reliability" };
    let server = json!({
        "max_answer": format!("{} B", cases::MAX_ANSWER),
        "max_event": format!("{} B", cases::MAX_EVENT),
    });
    Ok(config.product("all", &names).subscription(&who).set("server", server))
}

/// What is made once for all requests is there before anything is counted.
async fn warm_up(gateway: &Gateway) -> Result<()> {
    let reply = gateway.client("drill").post(CHAT, &chat("well", "Hello")).await?;
    anyhow::ensure!(reply.status == 200, "the second backend does not answer: {}", reply.text());
    Ok(())
}

/// Sends every cell's request, some at a time; the answers in the order of the cells.
async fn send_all(gateway: &Gateway, cells: &[Cell], connections: u32) -> Result<Vec<Exchange>> {
    let turns = Arc::new(Semaphore::new(connections as usize));
    let mut requests = JoinSet::new();
    for (index, cell) in cells.iter().enumerate() {
        let (turns, alias, stream) = (Arc::clone(&turns), cell.alias(), cell.stream);
        let client = gateway.client("drill");
        requests.spawn(async move {
            let _turn = turns.acquire().await;
            let text = "What happens when something breaks?";
            let body = if stream { chat_stream(&alias, text) } else { chat(&alias, text) };
            (index, exchange(&client, CHAT, &body).await)
        });
    }
    let mut done = requests.join_all().await;
    done.sort_unstable_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, exchange)| exchange).collect())
}

/// What the gateway still holds of the requests when it has had time to let go.
async fn leaked(gateway: &Gateway, backends: &Backends, before: Held, idle_before: u64) -> Result<Held> {
    let now = || async {
        let now = held(gateway).await.ok()?;
        // Connections that wait for the next request are no leak: the backends know them too.
        let idle = backends.open().saturating_sub(idle_before);
        Some(Held { sockets: now.sockets.saturating_sub(before.sockets + idle), ..now })
    };
    let nothing = Held { sockets: 0, open_intents: 0, in_flight: 0 };
    let clean = || async { now().await.filter(|now| *now == nothing && backends.under_way() == 0) };
    match wait::until("the gateway lets go", LETS_GO, clean).await {
        Ok(clean) => Ok(clean),
        Err(_) => now().await.ok_or_else(|| anyhow::anyhow!("the gateway cannot be asked")),
    }
}

/// The rows of each exchange, in the order of their attempts.
async fn rows(folder: &Path, exchanges: &[Exchange]) -> Result<Vec<Vec<Row>>> {
    let folder = folder.to_owned();
    let records = tokio::task::spawn_blocking(move || log::usage(&folder)).await??;
    let mut by_request: BTreeMap<RequestId, Vec<_>> = BTreeMap::new();
    for event in records.rows() {
        by_request.entry(event.request_id).or_default().push(event);
    }
    let of = |exchange: &Exchange| {
        let mut events = exchange.id.and_then(|id| by_request.get(&id)).cloned().unwrap_or_default();
        events.sort_unstable_by_key(|event| event.attempt);
        events.into_iter().map(Row::from).collect()
    };
    Ok(exchanges.iter().map(of).collect())
}
