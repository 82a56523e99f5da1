//! The semantic cache.
pub mod guard;
pub mod index;
#[cfg(test)]
mod testing;
