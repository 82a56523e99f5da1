//! What the fuzz targets have in common. `README.md` says what each target promises.
//!
//! Inputs are bytes: a short head that makes choices (which format, where to cut), then the body as it would come
//! from outside. So real bodies are seeds after a head of zeros, and [`mutate`] can change them as JSON.

#[path = "../../tests/golden/order.rs"]
mod order;

pub mod check;
pub mod cuts;
pub mod events;
pub mod formats;
pub mod mutate;
pub mod path;
pub mod stored;
pub mod stream;
pub mod words;

/// Splits the head of choices off the body.
#[must_use]
pub fn head<const N: usize>(data: &[u8]) -> Option<([u8; N], &[u8])> {
    data.split_first_chunk::<N>().map(|(head, body)| (*head, body))
}

/// One of these.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn pick<T>(all: &[T], choice: u8) -> &T {
    &all[usize::from(choice) % all.len()]
}
