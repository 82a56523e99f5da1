//! Events as they stand on the wire, one type each.

use serde::Deserialize;

use crate::anthropic::error::ErrorObject;
use crate::anthropic::usage::UsageIn;
use crate::anthropic::wire::Block;
use crate::json::Str;

/// Types of events that mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    MessageStart,
    BlockStart,
    BlockDelta,
    BlockStop,
    MessageDelta,
    MessageStop,
    Error,
    /// Pings, and events that are yet to come.
    Other,
}

impl Kind {
    /// By the name of the event, else by the type in its data: some servers leave the name out.
    ///
    /// # Errors
    /// When the data has no type.
    pub(super) fn of(name: Option<&str>, data: &str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Typed<'a> {
            #[serde(borrow, rename = "type")]
            kind: Str<'a>,
        }

        match name.map_or(Self::Other, Self::from_name) {
            Self::Other if name != Some("ping") => {
                serde_json::from_str::<Typed<'_>>(data).map(|typed| Self::from_name(&typed.kind))
            }
            kind => Ok(kind),
        }
    }

    fn from_name(name: &str) -> Self {
        match name {
            "message_start" => Self::MessageStart,
            "content_block_start" => Self::BlockStart,
            "content_block_delta" => Self::BlockDelta,
            "content_block_stop" => Self::BlockStop,
            "message_delta" => Self::MessageDelta,
            "message_stop" => Self::MessageStop,
            "error" => Self::Error,
            _ => Self::Other,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct MessageStart<'a> {
    #[serde(borrow)]
    pub(super) message: Message<'a>,
}

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) model: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) usage: Option<UsageIn<'a>>,
}

#[derive(Deserialize)]
pub(super) struct BlockStart<'a> {
    pub(super) index: u64,
    #[serde(borrow)]
    pub(super) content_block: Block<'a>,
}

#[derive(Deserialize)]
pub(super) struct BlockDelta<'a> {
    pub(super) index: u64,
    #[serde(borrow)]
    pub(super) delta: DeltaIn<'a>,
}

/// What is new of a block.
#[derive(Deserialize)]
pub(super) struct DeltaIn<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Str<'a>,
    #[serde(borrow, default)]
    pub(super) text: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) partial_json: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) thinking: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) signature: Option<Str<'a>>,
}

#[derive(Deserialize)]
pub(super) struct BlockStop {
    pub(super) index: u64,
}

#[derive(Deserialize)]
pub(super) struct MessageDelta<'a> {
    #[serde(borrow, default)]
    pub(super) delta: Option<MessageDeltaIn<'a>>,
    #[serde(borrow, default)]
    pub(super) usage: Option<UsageIn<'a>>,
}

/// What is new of the whole message.
#[derive(Deserialize)]
pub(super) struct MessageDeltaIn<'a> {
    #[serde(borrow, default)]
    pub(super) stop_reason: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) stop_sequence: Option<Str<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Failure<'a> {
    #[serde(borrow)]
    pub(super) error: ErrorObject<'a>,
}
