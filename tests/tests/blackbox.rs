//! The built binary, as its users meet it. One test binary, so that it links once.

mod blackbox {
    mod bad_input;
    mod browser;
    mod cases;
    mod demo;
    mod dependencies;
    mod disk_full;
    mod first_sale;
    mod harness;
    mod operate;
    mod peers;
    mod restart;
    mod revoke;
    mod sigkill;
    mod specs;
    mod verify;
    mod websocket;
}
