//! Puts the pieces of parallel tool calls in sequence.
//!
//! Chunks name the call they add to; servers may mix calls, while the parts of an answer come one after the other. The
//! first call that is not complete is live: its pieces pass at once. A live call ends when its arguments are a
//! whole JSON object and another call is there; pieces of calls behind it wait, bounded.

use smallvec::SmallVec;

use crate::error::FormatError;

/// Most calls of one answer.
const MAX_CALLS: usize = 1024;
/// Most bytes of arguments that wait behind a live call.
const MAX_WAITING: usize = 4 << 20;

/// What to do next, in order.
pub(super) enum Step<'s> {
    /// A call begins.
    Begin { id: &'s str, name: &'s str },
    /// Arguments of the live call.
    Arguments(&'s str),
    /// The live call is complete.
    End,
}

/// One piece of a call.
pub(super) struct Piece<'p> {
    pub(super) choice: u32,
    /// Which call of the answer, where the server says it.
    pub(super) index: Option<u32>,
    pub(super) id: &'p str,
    pub(super) name: &'p str,
    pub(super) arguments: &'p str,
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: SmallVec<[Call; 2]>,
    /// The first call that has not ended.
    first: usize,
    /// Bytes in `Call::waiting` of all calls.
    waiting: usize,
}

#[derive(Debug)]
struct Call {
    choice: u32,
    index: Option<u32>,
    id: String,
    name: String,
    /// Arguments that were not handed on yet.
    waiting: String,
    begun: bool,
    json: Depth,
}

impl Calls {
    /// Whether there was any.
    pub(super) fn any(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Takes a piece; `new_id` names calls of servers that do not.
    pub(super) fn take(
        &mut self,
        piece: &Piece<'_>,
        new_id: impl FnOnce(usize) -> String,
        step: &mut dyn FnMut(Step<'_>),
    ) -> Result<(), FormatError> {
        let at = match self.find(piece) {
            Some(at) => at,
            None => self.add(piece, new_id)?,
        };
        let live = at == self.first;
        let call = &mut self.calls[at];
        if at < self.first {
            let late = !piece.arguments.trim().is_empty();
            return if late { Err(mixed()) } else { Ok(()) };
        }
        if call.name.is_empty() {
            call.name.push_str(piece.name);
        }
        call.json.read(piece.arguments);
        if live && call.begun {
            if !piece.arguments.is_empty() {
                step(Step::Arguments(piece.arguments));
            }
            return Ok(());
        }
        call.waiting.push_str(piece.arguments);
        self.waiting += piece.arguments.len();
        if self.waiting > MAX_WAITING {
            return Err(FormatError::invalid("arguments of parallel tool calls are too large", None));
        }
        self.advance(step);
        Ok(())
    }

    /// Ends all calls: nothing is added to them any more.
    pub(super) fn flush(&mut self, step: &mut dyn FnMut(Step<'_>)) {
        while self.first < self.calls.len() {
            self.begin(step);
            step(Step::End);
            self.first += 1;
        }
    }

    fn find(&self, piece: &Piece<'_>) -> Option<usize> {
        let at = match piece.index {
            Some(_) => self
                .calls
                .iter()
                .rposition(|call| call.choice == piece.choice && call.index == piece.index)?,
            None if piece.id.is_empty() => self.calls.len().checked_sub(1)?,
            None => return self.calls.iter().rposition(|call| call.id == piece.id),
        };
        // Some servers give every call the same index, and each its own id.
        let other = !piece.id.is_empty() && !piece.name.is_empty() && self.calls[at].id != piece.id;
        (!other).then_some(at)
    }

    fn add(&mut self, piece: &Piece<'_>, new_id: impl FnOnce(usize) -> String) -> Result<usize, FormatError> {
        let at = self.calls.len();
        if at == MAX_CALLS {
            return Err(FormatError::invalid("the answer has too many tool calls", None));
        }
        let id = if piece.id.is_empty() { new_id(at) } else { piece.id.to_owned() };
        self.calls.push(Call {
            choice: piece.choice,
            index: piece.index,
            id,
            name: String::new(),
            waiting: String::new(),
            begun: false,
            json: Depth::default(),
        });
        Ok(at)
    }

    /// Begins the first call when its name is known; ends it when it is whole and another one waits.
    fn advance(&mut self, step: &mut dyn FnMut(Step<'_>)) {
        while self.first < self.calls.len() && !self.calls[self.first].name.is_empty() {
            self.begin(step);
            if !(self.calls[self.first].json.whole && self.first + 1 < self.calls.len()) {
                return;
            }
            step(Step::End);
            self.first += 1;
        }
    }

    fn begin(&mut self, step: &mut dyn FnMut(Step<'_>)) {
        let call = &mut self.calls[self.first];
        if call.begun {
            return;
        }
        call.begun = true;
        step(Step::Begin { id: &call.id, name: &call.name });
        if !call.waiting.is_empty() {
            self.waiting -= call.waiting.len();
            step(Step::Arguments(&call.waiting));
            call.waiting = String::new();
        }
    }
}

fn mixed() -> FormatError {
    FormatError::invalid("the stream adds to a tool call that was complete", None)
}

/// Follows the nesting of a JSON text, to see when it is whole.
#[derive(Debug, Default)]
struct Depth {
    open: u32,
    in_text: bool,
    escaped: bool,
    whole: bool,
}

impl Depth {
    fn read(&mut self, json: &str) {
        for byte in json.bytes() {
            if self.in_text {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_text = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.open = self.open.saturating_add(1),
                b'}' | b']' => {
                    self.open = self.open.saturating_sub(1);
                    self.whole |= self.open == 0;
                }
                _ => {}
            }
        }
    }
}
