//! A program under test: its own process group, its log, its end.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{wait, watchdog};

/// Lines of a log that are kept.
const KEPT_LINES: usize = 20_000;
/// Lines that a failing test shows.
const SHOWN_LINES: usize = 40;

/// A running program. Dropping it kills it and everything it started.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: Log,
    ended: Option<ExitStatus>,
}

/// What a program printed, on both outputs.
#[derive(Debug, Clone, Default)]
pub struct Log {
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl Log {
    /// Everything kept, as one text.
    #[must_use]
    pub fn text(&self) -> String {
        let lines = self.lines.lock();
        lines.iter().fold(String::new(), |text, line| text + line + "\n")
    }

    /// The first line that contains `part`.
    #[must_use]
    pub fn find(&self, part: &str) -> Option<String> {
        self.lines.lock().iter().find(|line| line.contains(part)).cloned()
    }

    /// The last lines.
    #[must_use]
    pub fn tail(&self, count: usize) -> String {
        let lines = self.lines.lock();
        let from = lines.len().saturating_sub(count);
        lines.iter().skip(from).fold(String::new(), |text, line| text + line + "\n")
    }

    fn follow(&self, output: impl Read + Send + 'static) {
        let log = Arc::clone(&self.lines);
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n') {
                let Ok(line) = line else { break };
                let mut log = log.lock();
                if log.len() == KEPT_LINES {
                    log.pop_front();
                }
                log.push_back(String::from_utf8_lossy(&line).into_owned());
            }
        });
    }
}

impl Process {
    /// Starts `command` in a process group of its own, without input, with its outputs captured.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("NO_COLOR", "1")
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", command.get_program().display()))?;
        watchdog::watch(child.id());
        let log = Log::default();
        if let Some(output) = child.stdout.take() {
            log.follow(output);
        }
        if let Some(output) = child.stderr.take() {
            log.follow(output);
        }
        Ok(Self { name: name.to_owned(), child, log, ended: None })
    }

    /// The process id, which is also the id of its group.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
            if self.ended.is_some() {
                watchdog::unwatch(self.child.id());
            }
        }
        self.ended
    }

    /// Sends a signal to the process itself.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.raw_pid()?, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// kill -9, and waits for the end.
    pub fn kill(&mut self) {
        if self.ended().is_some() {
            return;
        }
        if let Ok(pid) = self.raw_pid() {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        self.ended = self.child.wait().ok().or(Some(ExitStatus::from_raw(9)));
        watchdog::unwatch(self.child.id());
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// When it does not end within `limit`.
    pub async fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait(limit).await
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When it does not end within `limit`.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("{} ends", self.name);
        let name = self.name.clone();
        let log = self.log.clone();
        let this = Mutex::new(self);
        let ended = wait::until(&what, limit, || std::future::ready(this.lock().ended())).await;
        ended.with_context(|| format!("the log of {name} ends with:\n{}", log.tail(SHOWN_LINES)))
    }

    /// Waits until `ready` says yes.
    ///
    /// # Errors
    /// When the process ends first, or `limit` passes; with the end of its log.
    pub async fn ready<F: Future<Output = bool>>(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut() -> F,
    ) -> Result<()> {
        let end = std::time::Instant::now() + limit;
        loop {
            if let Some(status) = self.ended() {
                bail!("{} ended at its start with {status}:\n{}", self.name, self.log.tail(SHOWN_LINES));
            }
            if ready().await {
                return Ok(());
            }
            if std::time::Instant::now() >= end {
                bail!("{} is not ready after {limit:?}:\n{}", self.name, self.log.tail(SHOWN_LINES));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn raw_pid(&self) -> Result<Pid> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        pid.with_context(|| format!("{} has no process id", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            show(&self.name, &self.log.tail(SHOWN_LINES));
        }
    }
}

#[expect(clippy::print_stderr, reason = "a failing test shows what its processes said")]
fn show(name: &str, tail: &str) {
    eprintln!("---- the log of {name} ends with:\n{tail}----");
}
