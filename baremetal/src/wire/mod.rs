//! Calls into `vtep::wire`, a file here for a file there.

mod error;
mod types;

pub fn every_call() {
    error::every_call();
    types::every_call();
}
