//! A Kafka of one node for the tests: Apache Kafka where its jars are installed, else a stand-in, never silently.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rustix::process::Signal;
use tempfile::TempDir;

use super::process::Process;
use super::{install, ports, wait, watchdog};

/// Any cluster id will do.
const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";

/// Which broker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Apache Kafka.
    Apache,
    /// The broker of the package noida-db: it speaks the protocol, and loses everything when it is killed.
    StandIn,
}

/// A running broker; its data live as long as this value.
#[derive(Debug)]
pub struct Kafka {
    folder: TempDir,
    broker: SocketAddr,
    controller: SocketAddr,
    kind: Kind,
    wrapper: Vec<String>,
    process: Option<Process>,
}

impl Kafka {
    /// Starts a broker with fresh data, and waits until it answers.
    ///
    /// # Errors
    /// When Kafka is not installed or does not answer in time.
    pub async fn start() -> Result<Self> {
        Self::start_wrapped(&[]).await
    }

    /// The same behind a command, for example `taskset -c 1`.
    ///
    /// # Errors
    /// As [`Kafka::start`].
    pub async fn start_wrapped(wrapper: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("tollgate-kafka-").tempdir()?;
        watchdog::remove_at_end(folder.path());
        let kind = if install::home().join("kafka/libs").is_dir() { Kind::Apache } else { Kind::StandIn };
        let mut kafka = Self {
            folder,
            broker: ports::free()?,
            controller: ports::free()?,
            kind,
            wrapper: wrapper.iter().map(|&word| word.to_owned()).collect(),
            process: None,
        };
        if kind == Kind::Apache {
            kafka.format()?;
        } else {
            install::announce(
                "WARNING: Apache Kafka is not installed; this run uses the broker of noida-db instead.",
            );
        }
        kafka.start_again().await?;
        Ok(kafka)
    }

    /// Which broker runs.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The bootstrap server.
    #[must_use]
    pub fn broker(&self) -> String {
        self.broker.to_string()
    }

    /// The `events` part of a service's configuration.
    #[must_use]
    pub fn events(&self, topic_prefix: &str) -> serde_json::Value {
        serde_json::json!({ "kafka": { "brokers": [self.broker()], "topic_prefix": topic_prefix } })
    }

    /// Stops the broker in good order; its data stay.
    ///
    /// # Errors
    /// When it does not stop.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.terminate(Duration::from_secs(60)).await?;
        }
        Ok(())
    }

    /// Starts the broker again on the same address and data, and waits until it answers.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub async fn start_again(&mut self) -> Result<()> {
        let mut process = Process::start("kafka", &mut self.command()?)?;
        let broker = self.broker();
        process
            .ready(wait::START * 2, || {
                let broker = broker.clone();
                async move { tokio::task::spawn_blocking(move || answers(&broker)).await.unwrap_or(false) }
            })
            .await?;
        self.process = Some(process);
        Ok(())
    }

    /// Stops the broker's clock (`true`) or lets it go on: its connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let process = self.process.as_ref().context("the broker does not run")?;
        process.signal(if frozen { Signal::STOP } else { Signal::CONT })
    }

    fn properties(&self) -> PathBuf {
        self.folder.path().join("server.properties")
    }

    /// Writes the configuration and prepares the data folder.
    fn format(&self) -> Result<()> {
        let (broker, controller) = (self.broker, self.controller);
        let data = self.folder.path().join("data");
        let mut text = String::new();
        for (name, value) in [
            ("process.roles", "broker,controller".to_owned()),
            ("node.id", "1".to_owned()),
            ("controller.quorum.voters", format!("1@{controller}")),
            ("listeners", format!("PLAINTEXT://{broker},CONTROLLER://{controller}")),
            ("advertised.listeners", format!("PLAINTEXT://{broker}")),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
            ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned()),
            ("log.dirs", data.display().to_string()),
            ("num.partitions", "4".to_owned()),
            ("default.replication.factor", "1".to_owned()),
            ("offsets.topic.replication.factor", "1".to_owned()),
            ("offsets.topic.num.partitions", "4".to_owned()),
            ("transaction.state.log.replication.factor", "1".to_owned()),
            ("transaction.state.log.min.isr", "1".to_owned()),
            // Tests don't wait for members that might still come.
            ("group.initial.rebalance.delay.ms", "0".to_owned()),
            ("num.network.threads", "2".to_owned()),
            ("num.io.threads", "4".to_owned()),
            ("background.threads", "2".to_owned()),
            ("log.cleaner.dedupe.buffer.size", "2097152".to_owned()),
        ] {
            writeln!(text, "{name}={value}")?;
        }
        std::fs::write(self.properties(), text)?;
        let mut format = self.java();
        format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"]).arg(self.properties());
        let done = format.output().context("cannot run java")?;
        ensure!(
            done.status.success(),
            "cannot format the storage: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(())
    }

    fn java(&self) -> Command {
        let mut classes = install::home().join("kafka/libs").into_os_string();
        classes.push("/*");
        let mut java = self.wrapped("java".into());
        java.args(["-Xmx512m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp"]);
        java.arg(classes);
        java
    }

    fn command(&self) -> Result<Command> {
        if self.kind == Kind::Apache {
            let mut java = self.java();
            java.arg("kafka.Kafka").arg(self.properties());
            return Ok(java);
        }
        let program = install::home().join("kafka/noida");
        ensure!(program.is_file(), "no Kafka is installed: run tests/setup/kafka");
        let mut command = self.wrapped(program.into_os_string());
        command.args(["start", "--only", "kafka", "--host", "127.0.0.1", "--kafka-port"]);
        command.arg(self.broker.port().to_string()).arg("--data-dir").arg(self.folder.path());
        Ok(command)
    }

    fn wrapped(&self, program: std::ffi::OsString) -> Command {
        match self.wrapper.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        }
    }
}

/// Asks for the cluster's metadata; blocks up to 2 s.
fn answers(broker: &str) -> bool {
    let consumer: Result<BaseConsumer, _> =
        ClientConfig::new().set("bootstrap.servers", broker).set("log_level", "0").create();
    consumer.is_ok_and(|consumer| {
        consumer
            .fetch_metadata(None, Duration::from_secs(2))
            .is_ok_and(|metadata| !metadata.brokers().is_empty())
    })
}
