//! The built binary, as its users meet it. One test binary, so that it links once.

mod blackbox {
    mod dependencies;
    mod harness;
}
