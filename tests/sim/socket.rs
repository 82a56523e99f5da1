//! Plays a script on a socket, and keeps an eye on the caller meanwhile.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use crate::sim::raw::{End, Script};

/// How often a deaf connection looks whether its caller is still there.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Pause after each write of what never ends.
const REFRAIN_PAUSE: Duration = Duration::from_millis(10);

/// Plays `script`; returns when the connection is done with. Says whether the caller left before the end of it.
pub(super) async fn play(mut stream: TcpStream, script: &Script) -> bool {
    let (mut reader, mut writer) = stream.split();
    let left = tokio::select! {
        written = write(&mut writer, script) => written.is_err(),
        () = caller_leaves(&mut reader) => true,
    };
    if left {
        return true;
    }
    match script.end {
        End::Stay => {
            caller_leaves(&mut reader).await;
            true
        }
        End::Finish => {
            let _ = writer.shutdown().await;
            // A socket closed with bytes to read would be reset, and what was written might be lost.
            caller_leaves(&mut reader).await;
            false
        }
        End::Reset => {
            // With a lingering time of zero, closing is a reset.
            let _ = stream.set_zero_linger();
            false
        }
    }
}

async fn write(writer: &mut WriteHalf<'_>, script: &Script) -> io::Result<()> {
    for (number, bytes) in script.writes.iter().enumerate() {
        if number > 0 && !script.pause.is_zero() {
            tokio::time::sleep(script.pause).await;
        }
        writer.write_all(bytes).await?;
    }
    while let Some(refrain) = &script.refrain {
        writer.write_all(refrain).await?;
        // No wire is endlessly fast: what shares a thread with the one who reads has its turn too.
        tokio::time::sleep(REFRAIN_PAUSE).await;
    }
    Ok(())
}

/// Done when the caller has closed the connection.
async fn caller_leaves(reader: &mut ReadHalf<'_>) {
    let mut buffer = [0; 1024];
    while reader.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

/// Holds a connection without reading a byte; done when the caller has closed it.
pub(super) async fn hold(stream: TcpStream) {
    while stream.ready(Interest::READABLE).await.is_ok_and(|ready| !ready.is_read_closed()) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
