//! Every page as a struct of exactly what it shows. A page cannot ask for more: handlers gather, pages
//! render, so a page is tested and looked at without a server.

pub mod account;
pub mod catalog;
pub mod dashboard;
pub mod error;
pub mod invoices;
pub mod key_forms;
pub mod keys;
pub mod plans;
pub mod spend_cap;
pub mod staff;
