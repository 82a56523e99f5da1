//! Streams a request's body towards a backend while it is still coming. The client's side of it lives on its
//! worker's thread; [`Upload`] is the side that may leave it.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::task::JoinHandle;
use tollgate_admission::Pace;
use tollgate_backends::upload::UploadSender;

use crate::error::GatewayError;
use crate::request::body::{IncomingBody, next_chunk};

/// Moves a body to its end. Dropped, it stops.
pub struct Pump {
    task: JoinHandle<()>,
    failure: Rc<RefCell<Option<GatewayError>>>,
}

impl Pump {
    /// Begins. The client must keep up this pace.
    #[must_use]
    pub fn start(mut incoming: IncomingBody, mut pace: Pace, sender: UploadSender) -> Self {
        let failure: Rc<RefCell<Option<GatewayError>>> = Rc::default();
        let noted = Rc::clone(&failure);
        let task = tokio::task::spawn_local(async move {
            loop {
                match next_chunk(&mut incoming, &mut pace).await {
                    Ok(Some(chunk)) => {
                        if sender.send(chunk).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => return sender.end().await,
                    Err(error) => {
                        // Dropped without its end, the body breaks the call off.
                        noted.replace(Some(error));
                        return;
                    }
                }
            }
        });
        Self { task, failure }
    }

    /// Why the body did not come to its end, where the client is to blame. Told once.
    #[must_use]
    pub fn failure(&self) -> Option<GatewayError> {
        self.failure.borrow_mut().take()
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}
