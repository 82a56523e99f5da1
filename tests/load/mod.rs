//! Traffic in front of what is measured.
//!
//! Written on bare sockets, so that the generator takes less time than what it looks at: [`closed`] keeps every
//! connection busy, [`paced`] keeps a rate, [`held`] keeps streams open;
//! [`mixed`] is for faults, and remembers every answer; [`timeline`] is for faults too, and remembers every time.

pub mod closed;
pub mod held;
pub mod mixed;
pub mod paced;
pub mod request;
pub mod response;
pub mod stats;
pub mod timeline;
