//! What tests of endings need: a gateway without servers, on files of its own, and attempts of it.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tollgate_backends::backend::Backend;
use tollgate_config::Config;
use tollgate_ledger::{FsyncPolicy, Ledger, LedgerOptions, OnFull};
use tollgate_limits::Reservation;
use tollgate_runtime::{Runtime, compile};
use tollgate_schemas::ids::RequestId;
use tollgate_schemas::usage::{Operation, Payer};
use tollgate_settings::load::parse_yaml;

use super::attempt::Attempt;
use super::event::{self, Callee, EventContext};
use super::measure::Basis;
use crate::gateway::Gateway;
use crate::pending::{Pending, PendingRules};
use crate::stored::Bound;

const CONFIG: &str = "backends: { b: { format: openai, url: 'http://127.0.0.1:9/v1' } }\n\
                      models: { m: { targets: [ { backend: b, model: x } ] } }\n";

/// A gateway with one model.
pub(crate) struct Bed {
    pub(crate) gateway: Arc<Gateway>,
    _folder: TempDir,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let config: Config = parse_yaml("t.yaml".as_ref(), CONFIG).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::start();
        let snapshot = compile(&config, &runtime).unwrap();
        let options = LedgerOptions {
            dir: folder.path().join("spool"),
            gateway_id: "g".into(),
            fsync: FsyncPolicy::None,
            max_bytes: 64 << 20,
            on_full: OnFull::Reject,
            segment_bytes: 1 << 20,
        };
        let (ledger, _) = Ledger::open(options).unwrap();
        let bound = Bound::new(b"a secret of some length").unwrap();
        let rules = PendingRules { max: 1, deadline: Duration::from_secs(60) };
        let pending = Pending::open(folder.path().join("pending"), rules).unwrap();
        let gateway = Gateway::new(snapshot, runtime, ledger, pending, bound);
        Self { gateway: Arc::new(gateway), _folder: folder }
    }

    /// The backend, whose calls may take so long.
    pub(crate) fn backend(&self, total_timeout: Duration) -> Arc<Backend> {
        let snapshot = self.gateway.snapshot.load();
        Arc::new(Backend { total_timeout, ..Backend::clone(&snapshot.backends["b"]) })
    }

    /// An attempt that has just been opened.
    pub(crate) fn attempt(&self) -> Attempt {
        let snapshot = self.gateway.snapshot.load();
        let target = &snapshot.models["m"].targets[0];
        let payer = Payer {
            tenant: "t".into(),
            cost_center: "c".into(),
            team: "t".into(),
            app: "a".into(),
            product: "p".into(),
            subscription: "s".into(),
            key_id: "k".into(),
            subject: None,
            tags: Default::default(),
        };
        let context = EventContext {
            request_id: RequestId::now(),
            payer: &payer,
            operation: Operation::Chat,
            model_requested: "m",
            api_format: "openai.chat",
            stream: true,
        };
        let callee = Callee { backend: &target.backend, model: &target.model, variant: None };
        let event = event::intent(context, callee, 1, None);
        let in_flight = target.deployment.admit().unwrap();
        let (gateway, reserved) = (Arc::clone(&self.gateway), Reservation::default());
        Attempt::open(gateway, event, Basis::Free, in_flight, reserved, None).unwrap()
    }
}
