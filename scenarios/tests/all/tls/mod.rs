//! TLS at the gateway: callers by certificate, by token or both, over HTTP/1.1 and HTTP/2; handshakes that are refused; what
//! ends with a certificate; services behind that are held to their own.

mod bound;
mod callers;
mod clients;
mod crossing;
mod floods;
mod forged;
mod frames;
mod handshakes;
mod hostile;
mod minting;
mod reload;
mod until;
mod upstream;
