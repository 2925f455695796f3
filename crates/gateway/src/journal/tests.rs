//! The journal as a whole, on real files: with a sink that keeps what it takes, on a clock that only the
//! test moves. Kills are copies of the folder taken while writers are busy.

mod audit;
mod crash;
pub(crate) mod rig;
mod room;
mod run;
