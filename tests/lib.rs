//! What the system tests, the bench and the drills of Tollgate are made of.
//!
//! The services are never linked in: [`harness`] starts the programs that operators run, on free loopback
//! ports and in folders of their own, and stops them whatever happens. [`sim`] is the model backend behind
//! them, [`load`] the traffic in front of them.

pub mod harness;
pub mod load;
pub mod sim;
