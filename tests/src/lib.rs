//! What the black-box tests stand on: the built binary as a process, exact bytes over TCP, a recording
//! upstream, sessions of the management API, and a browser.
//!
//! Nothing here uses a product crate or an HTTP library: a mistake that Keytoll shares with its
//! libraries must not hide in its tests. All waiting goes through [`wait`], with a time limit.

#![expect(
    clippy::return_self_not_must_use,
    reason = "a check returns what it checked, for those who want to look further"
)]

pub mod binary;
pub mod catalog;
pub mod http;
pub mod peer;
pub mod portal;
pub mod report;
pub mod scratch;
pub mod upstream;
pub mod wait;
pub mod webdriver;
