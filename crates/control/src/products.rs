//! Products: import of an OpenAPI document with settings, and what the portal shows.

mod draft;
mod fold;
pub mod limits;

pub use draft::{
    DraftDocument, ProductDraft, SpecFile, SpecSource, check_settings, check_url, product_id,
    read_document,
};
pub use fold::operations as fold;
