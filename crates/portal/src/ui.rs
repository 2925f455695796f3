//! What all pages are made of: the frame, forms, tables, charts and the way numbers and times read.
//!
//! Everything here is a function from plain values to markup. Texts of partners, specs and keys are
//! hostile: they reach a page only through maud's escaping, or through [`markdown`]'s sanitiser.

pub mod chart;
pub mod form;
pub mod icon;
pub mod markdown;
pub mod part;
pub mod shell;
pub mod text;

pub use shell::{Frame, Nav, Page, Shell, Theme, Viewer};
