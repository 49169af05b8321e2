//! Certificates are looked at by the code that verifies them.
