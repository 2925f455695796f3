//! What a product says about its calls beside keys and limits.

mod headers;
mod notices;
mod routing;
mod validation;
