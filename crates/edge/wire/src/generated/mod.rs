//! Written by `xtask codegen`; by hand only this file.

pub mod agent;
pub mod broker;
pub mod workload;

pub mod envoy {
    pub mod config {
        pub mod core {
            pub mod v3;
        }
    }
    pub mod extensions {
        pub mod transport_sockets {
            pub mod tls {
                pub mod v3;
            }
        }
    }
    pub mod service {
        pub mod discovery {
            pub mod v3;
        }
        pub mod secret {
            pub mod v3;
        }
    }
}

pub mod google {
    pub mod rpc;
}

pub mod grpc {
    pub mod health {
        pub mod v1;
    }
}
