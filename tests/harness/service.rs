//! What the three services have in common: a configuration file, a process, health.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::http::Client;
use super::install::binary;
use super::process::Process;
use super::wait;

/// A service of this workspace that was started by a test.
#[derive(Debug)]
pub struct Service {
    name: String,
    config: PathBuf,
    health: SocketAddr,
    env: Vec<(String, String)>,
    wrapper: Vec<String>,
    process: Process,
}

impl Service {
    /// Writes `config` into `folder`, starts the program `name` on it and waits until `health` answers.
    ///
    /// The file is JSON, which is YAML too.
    ///
    /// # Errors
    /// When the program is missing, ends at once, or is not healthy in time.
    pub async fn start(
        name: &str,
        folder: &Path,
        config: &Value,
        health: SocketAddr,
        env: &[(String, String)],
    ) -> Result<Self> {
        Self::start_wrapped(name, folder, config, health, env, &[]).await
    }

    /// The same behind a command, for example `taskset -c 0`.
    ///
    /// # Errors
    /// As [`Service::start`].
    pub async fn start_wrapped(
        name: &str,
        folder: &Path,
        config: &Value,
        health: SocketAddr,
        env: &[(String, String)],
        wrapper: &[&str],
    ) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let file = folder.join(format!("{name}.yaml"));
        std::fs::write(&file, serde_json::to_string_pretty(config)?)?;
        let wrapper = wrapper.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let process = launch(name, &file, env, &wrapper)?;
        let mut service =
            Self { name: name.to_owned(), config: file, health, env: env.to_vec(), wrapper, process };
        service.healthy().await?;
        Ok(service)
    }

    /// Starts it again, on the same configuration file.
    ///
    /// # Errors
    /// As [`Service::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.process.kill();
        self.process = launch(&self.name, &self.config, &self.env, &self.wrapper)?;
        self.healthy().await
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its configuration file.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    async fn healthy(&mut self) -> Result<()> {
        let client = Client::new(self.health);
        let alive = || async { client.get("/healthz").await.is_ok_and(|reply| reply.status.is_success()) };
        self.process.ready(wait::START, alive).await
    }
}

fn launch(name: &str, config: &Path, env: &[(String, String)], wrapper: &[String]) -> Result<Process> {
    let program = binary(name)?;
    let mut command = match wrapper.split_first() {
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.arg("--config").arg(config).current_dir(config.parent().context("no folder")?);
    command.envs(env.iter().map(|(name, value)| (name, value)));
    Process::start(name, &mut command)
}
