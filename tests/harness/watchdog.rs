//! Ends what a test program started when the program itself ends, however it ends.
//!
//! One small shell per test program reads the process groups and folders that are in use from a pipe. Only the
//! test program holds the other end: when that closes, by exit or by kill -9, the shell kills the groups and
//! removes the folders.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::LazyLock;

use parking_lot::Mutex;

/// `+ GROUP` watches, `- GROUP` stops watching, `d FOLDER` is removed at the end.
const SCRIPT: &str = r#"
groups=" "; folders=""
while IFS=' ' read -r what name; do
  case "$what" in
    +) groups="$groups$name " ;;
    -) groups="${groups%% $name *} ${groups#* $name }" ;;
    d) folders="$folders$name
" ;;
  esac
done
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done
printf %s "$folders" | while read -r folder; do rm -rf -- "$folder"; done
"#;

static SHELL: LazyLock<Mutex<Option<ChildStdin>>> = LazyLock::new(|| {
    let child = Command::new("sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A group of its own: Ctrl-C is for the test program, the shell has work to do after it.
        .process_group(0)
        .spawn();
    Mutex::new(child.ok().and_then(|mut child| child.stdin.take()))
});

fn say(line: &str) {
    if let Some(pipe) = SHELL.lock().as_mut() {
        // Without the shell, drops still clean up; only a killed test program would leave something behind.
        let _ = writeln!(pipe, "{line}");
    }
}

/// Kills this process group at the end of the test program.
pub(super) fn watch(group: u32) {
    say(&format!("+ {group}"));
}

/// The group has ended.
pub(super) fn unwatch(group: u32) {
    say(&format!("- {group}"));
}

/// Removes this folder at the end of the test program.
pub(super) fn remove_at_end(folder: &Path) {
    say(&format!("d {}", folder.display()));
}
