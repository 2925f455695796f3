mod access;
mod conform;
mod document;
mod keys;
mod requests;
mod sessions;
mod subscriptions;
mod world;
