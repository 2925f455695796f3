//! The importer on small documents, one quirk each, and on a folder of real ones.

mod folder;
