//! How far a stream is whose format has no last event of its own: it ends with the body.

use super::stream::StreamEvent;
use crate::error::FormatError;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Before,
    Answering,
    /// The model has stopped; usage may still come.
    Stopped,
    Ended,
}

impl Phase {
    /// The body ended: the stream is whole if the model had stopped.
    pub(crate) fn finish(&mut self, out: &mut dyn FnMut(StreamEvent<'_>)) -> Result<(), FormatError> {
        match self {
            Self::Ended => Ok(()),
            Self::Stopped => {
                *self = Self::Ended;
                out(StreamEvent::End);
                Ok(())
            }
            Self::Before | Self::Answering => Err(FormatError::CutShort),
        }
    }
}
