//! `cargo run --manifest-path xtask/codegen/Cargo.toml`: writes the Rust of `api/proto` into `wire`. Pure Rust, so that
//! nobody needs a `protoc`.

use std::error::Error;
use std::fs;
use std::path::Path;

use xtask::generated::{FILES, GENERATED, PROTO, heading};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let made = std::env::temp_dir().join(format!("countersign-codegen-{}", std::process::id()));
    fs::create_dir_all(&made)?;
    for (definition, package, file) in FILES {
        let descriptors = protox::compile([root.join(PROTO).join(definition)], [root.join(PROTO)])?;
        tonic_prost_build::configure()
            .out_dir(&made)
            .build_transport(false)
            .emit_rerun_if_changed(false)
            .bytes(".")
            .compile_fds(descriptors)?;
        let code = fs::read_to_string(made.join(format!("{package}.rs")))?;
        let proto = fs::read(root.join(PROTO).join(definition))?;
        fs::write(root.join(GENERATED).join(file), format!("{}{code}", heading(definition, &proto)))?;
    }
    fs::remove_dir_all(&made)?;
    Ok(())
}
