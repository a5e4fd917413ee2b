//! The client against a real HTTP server on loopback.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod canary;
mod http;
mod oddities;
mod server;
mod vectors;
mod wire;
